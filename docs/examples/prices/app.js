// Prices from a rates service over HTTP. A call without a timeout is where its flaw is.
//   node app.js PORT [--mended]       RATES_URL names the rates service
//   node app.js PORT --rates          is the rates service
const http = require("node:http");
const [port, mode] = process.argv.slice(2);

async function rate(signal) {
  const response = await fetch(`${process.env.RATES_URL}/rate`, { signal });
  if (!response.ok) throw Object.assign(new Error("rates failed"), { code: "dependency_error", status: 502 });
  return (await response.json()).rate;
}

async function price(request, response) {
  const product = decodeURIComponent(request.url.split("/").pop());
  try {
    // The flaw: fetch waits for as long as the other side likes. The mend: no longer than half of what our caller waits.
    const value = await rate(mode === "--mended" ? AbortSignal.timeout(500) : undefined);
    answer(response, 200, { product, price: 3 * value });
  } catch (error) {
    const late = error.name === "TimeoutError";
    const code = late ? "dependency_timeout" : error.code === "dependency_error" ? error.code : "dependency_unavailable";
    answer(response, late ? 504 : (error.status ?? 503), { code, dependency: "rates" });
  }
}

function answer(response, status, body) {
  response.writeHead(status, { "content-type": status < 400 ? "application/json" : "application/problem+json" });
  response.end(JSON.stringify(body));
}

const rates = (_request, response) => answer(response, 200, { rate: 1.25 });
http.createServer(mode === "--rates" ? rates : price).listen(Number(port), "127.0.0.1", () => console.log("listening"));
