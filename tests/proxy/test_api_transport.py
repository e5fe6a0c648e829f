"""The control API as a server: what it takes from odd, slow and hostile clients, and whom it refuses."""

from __future__ import annotations

import asyncio
import json
import random
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaos.proxy.api import ControlApi, serve_http
from chaos.proxy.api.messages import Reply, Request
from chaos.proxy.api.routing import find_route
from chaos.proxy.registry import Registry, open_registry
from chaos.proxy.settings import Options
from tests.listening import assert_ended

WITHIN_S = 20.0
CREATE = b'{"name":"a","listen":"127.0.0.1:0","upstream":"127.0.0.1:1"}'


@asynccontextmanager
async def api(
    *, loopback_only: bool = False, metrics: bool = False, strict: bool = False
) -> AsyncIterator[tuple[int, Registry]]:
    """An empty server's port and registry."""
    async with open_registry(Options(strict=strict)) as registry:
        control = ControlApi(registry, loopback_only=loopback_only, proxy_metrics=metrics, runtime_metrics=metrics)
        async with serve_http(control, "127.0.0.1", 0) as (_, port):
            yield port, registry


async def talk(port: int, data: bytes) -> bytes:
    """Everything that is answered to these bytes until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        writer.write_eof()
        with anyio.fail_after(WITHIN_S):
            return await reader.read()
    finally:
        writer.close()


def request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """A request with its length."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def test_requests_on_one_connection_are_answered_in_order() -> None:
    """Pipelined requests share a connection, and an empty body of 204 does not shift the next answer."""
    async with api() as (port, _):
        answers = await talk(
            port, request("POST", "/proxies", CREATE) + request("POST", "/reset") + request("GET", "/proxies/a")
        )
    assert re.findall(rb"HTTP/1\.1 (\d+) ", answers) == [b"201", b"204", b"200"]


async def test_chunked_bodies_and_expectations_are_taken() -> None:
    """A chunked request body counts, and a client that waits for 100 is told to go on."""
    chunked = b"POST /proxies HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
    chunked += b"%x\r\n%s\r\n0\r\n\r\n" % (len(CREATE), CREATE)
    async with api() as (port, registry):
        answer = await talk(port, chunked)
        assert registry.get("a").enabled
    assert b" 201 Created" in answer


async def test_http_1_0_is_answered_and_closed() -> None:
    """An old client without Host gets its answer and the end of the stream."""
    async with api() as (port, _):
        answer = await talk(port, b"GET /version HTTP/1.0\r\n\r\n")
    assert answer.endswith(b'\r\n\r\n{"version": "2.12.0"}\n')


@pytest.mark.parametrize("data", [b"garbage\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\r\n\r\n"])
async def test_what_is_not_http_is_told_so(data: bytes) -> None:
    """A broken request is answered 400 and the connection closed."""
    async with api() as (port, _):
        assert (await talk(port, data)).startswith(b"HTTP/1.1 400 Bad Request\r\n")


async def test_a_body_beyond_reason_is_refused() -> None:
    """Nobody makes the process hold or decode a huge body."""
    head = b"POST /proxies HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\n"
    async with api() as (port, registry):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head)
        for _ in range(3):
            writer.write(b" " * 1024 * 1024)
        with anyio.fail_after(WITHIN_S):
            assert b" 413 " in await reader.readline()
        writer.close()
        assert len(registry) == 0


async def test_clients_that_leave_in_the_middle_leave_nothing() -> None:
    """A hundred clients that stop mid-request are forgotten; the next one is served."""
    async with api() as (port, _):
        before = len(asyncio.all_tasks())
        for _ in range(100):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST /proxies HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\n{")
            writer.transport.abort()
        with anyio.fail_after(WITHIN_S):
            assert b" 200 OK" in await talk(port, request("GET", "/version"))
            while len(asyncio.all_tasks()) > before:
                await asyncio.sleep(0)


async def test_mutilated_requests_end_nothing() -> None:
    """Three hundred requests with bytes changed, cut out and doubled: each is answered or closed, and the server lives on."""
    rng = random.Random(20)
    toxic = b'{"name":"t","type":"latency","stream":"upstream","toxicity":0.5,"attributes":{"latency":1}}'
    originals = [
        request("POST", "/proxies", CREATE), request("POST", "/populate", b"[" + CREATE + b"]"),
        request("POST", "/proxies/a/toxics", toxic), request("PATCH", "/proxies/a", b'{"enabled":false}'),
        request("POST", "/chaos/leases", b'{"holder":"h","ttl_ms":1000,"hard_end_ms":1000}'), request("GET", "/chaos/status"),
        request("POST", "/proxies?toxics=1", CREATE[:-1] + b',"toxics":[' + toxic + b"]}"),
        request("GET", "/chaos/connections?proxy=a"), request("DELETE", "/chaos/connections?proxy=a&how=rst"),
        request("DELETE", "/chaos/connections/1?how=fin"), request("POST", "/chaos/reload"),
    ]  # fmt: skip
    async with api() as (port, _):
        before = len(asyncio.all_tasks())
        for _ in range(300):
            data = bytearray(rng.choice(originals))
            for _ in range(rng.randint(1, 4)):
                at = rng.randrange(len(data))
                kind = rng.randrange(3)
                if kind == 0:
                    data[at] = rng.randrange(256)
                elif kind == 1:
                    del data[at : at + rng.randint(1, 9)]
                else:
                    data[at:at] = data[at : at + rng.randint(1, 30)]
            answer = await talk(port, bytes(data))
            assert not answer or answer.startswith(b"HTTP/1.1 ")
            assert b"internal error" not in answer, bytes(data)
        assert b" 200 OK" in await talk(port, request("GET", "/version"))
        with anyio.fail_after(WITHIN_S):
            while len(asyncio.all_tasks()) > before:
                await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "127.0.0.1:8474"}, 200),
        ({"Host": "localhost"}, 200),
        ({"Host": "[::1]:8474"}, 200),
        ({"Host": "127.8.8.8"}, 200),
        ({"Host": "evil.example:8474"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "[::1"}, 403),
        ({"Host": "localhost", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "localhost", "User-Agent": "Mozilla/5.0"}, 403),
        ({"Host": "localhost", "User-Agent": "node", "Sec-Fetch-Mode": "cors"}, 200),
    ],
)
async def test_browsers_and_rebound_names_are_refused(headers: dict[str, str], status: int) -> None:
    """Bound to loopback, only a Host that is loopback is served; browsers never."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    async with api(loopback_only=True) as (port, _):
        answer = await talk(port, f"GET /proxies HTTP/1.1\r\n{lines}\r\n".encode())
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())


async def test_request_ids_are_unique() -> None:
    """Twenty characters, never the same."""
    async with api() as (port, _):
        answers = await talk(port, request("GET", "/version") * 50)
    ids = [line for line in answers.split(b"\r\n") if line.lower().startswith(b"x-toxiproxy-request-id: ")]
    assert len(set(ids)) == len(ids) == 50


async def test_extension_members_show_only_where_they_were_used() -> None:
    """A plain client sees 2.12's members; one that asked for more sees them echoed."""
    async with api() as (port, _):
        await talk(port, request("POST", "/proxies", CREATE[:-1] + b',"protocol":"http"}'))
        await talk(port, request("POST", "/proxies/a/toxics", b'{"type":"noop"}'))
        await talk(
            port,
            request("POST", "/proxies/a/toxics", b'{"name":"x","type":"noop","seed":7,"for_ms":60000,"fault":"f"}'),
        )
        answer = await talk(port, request("GET", "/proxies/a"))
    shape = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert shape["protocol"] == "http"
    plain, extended = shape["toxics"]
    assert set(plain) == {"attributes", "name", "type", "stream", "toxicity"}
    assert (extended["seed"], extended["for_ms"], extended["fault"]) == (7, 60000, "f")


async def test_metrics_have_the_known_names_and_are_there_only_if_asked_for() -> None:
    """Counters by direction, listener, proxy and upstream; any verb; quotes in names escaped."""
    async with api(metrics=True) as (port, registry):
        await talk(port, request("POST", "/proxies", b'{"name":"q\\"","listen":"127.0.0.1:0","upstream":"u:1"}'))
        answer = (await talk(port, request("PUT", "/metrics"))).decode()
        listen = registry.get('q"').listen
    assert (
        f'\ntoxiproxy_proxy_sent_bytes_total{{direction="upstream",listener="{listen}",proxy="q\\"",upstream="u:1"}} 0\n'
        in answer
    )
    assert "\nprocess_cpu_seconds_total " in answer
    async with api() as (port, _):
        assert b" 404 " in await talk(port, request("GET", "/metrics"))


async def test_the_crash_list_is_harmless() -> None:
    """Attributes that kill Toxiproxy are answered, and the process lives on."""
    bodies = [
        '{"type":"slicer"}', '{"type":"slicer","attributes":{"average_size":1,"size_variation":9}}',
        '{"type":"slicer","attributes":{"average_size":4,"size_variation":-9}}', '{"type":"bandwidth","attributes":{"rate":-1}}',
        '{"type":"bandwidth","attributes":{"rate":9223372036854775807}}',
        '{"type":"latency","attributes":{"latency":9223372036854775807,"jitter":9223372036854775807}}',
        '{"type":"timeout","attributes":{"timeout":-1}}', '{"type":"limit_data","attributes":{"bytes":-1}}',
    ]  # fmt: skip
    async with api() as (port, registry):
        await talk(port, request("POST", "/proxies", CREATE))
        for number, body in enumerate(bodies):
            named = f'{{"name":"t{number}",{body[1:]}'.encode()
            assert (await talk(port, request("POST", "/proxies/a/toxics", named)))[9:12] in (b"200", b"400")
            host, _, listen = registry.get("a").listen.rpartition(":")
            with anyio.fail_after(WITHIN_S):
                reader, writer = await asyncio.open_connection(host, int(listen))
                writer.write(b"x" * 1000)
                writer.transport.abort()
                await reader.read()
            await talk(port, request("DELETE", f"/proxies/a/toxics/t{number}"))
        assert b" 200 OK" in await talk(port, request("GET", "/version"))


@pytest.mark.parametrize(("strict", "latency"), [(False, 5), (True, 77)])
async def test_a_refused_update_changes_nothing_unless_strict(strict: bool, latency: int) -> None:
    """2.12 keeps the attributes that came before the wrong one; ours is all or nothing."""
    async with api(strict=strict) as (port, registry):
        await talk(port, request("POST", "/proxies", CREATE))
        await talk(
            port, request("POST", "/proxies/a/toxics", b'{"name":"t","type":"latency","attributes":{"latency":5}}')
        )
        refused = b'{"attributes":{"latency":77,"jitter":"x"},"toxicity":0.5}'
        assert b" 400 " in await talk(port, request("POST", "/proxies/a/toxics/t", refused))
        toxic = registry.get("a").toxic("t")
    assert (toxic.attributes.latency, toxic.toxicity) == (latency, 1)  # type: ignore[attr-defined]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(target=st.text(alphabet="/.%2ae?#:@proxies", max_size=20))
def test_any_target_is_routed_or_answered(target: str) -> None:
    """No path raises, and a redirect leads to a path that is clean."""

    async def handler(_request: Request) -> Reply:
        return Reply(status=200)

    found = find_route([("/proxies", {"GET": handler}), ("/proxies/{}", {"GET": handler})], "GET", target)
    if isinstance(found, Reply) and found.status == 301:
        again = find_route([], "GET", dict(found.headers)["Location"])
        assert isinstance(again, Reply)
        assert again.status == 404


@pytest.mark.parametrize("turns", range(7))
async def test_a_connection_in_the_making_ends_with_the_api(turns: int) -> None:
    """Connected, accepted by the loop, handed over: whatever it is at, its client sees the end."""
    async with open_registry() as registry, serve_http(ControlApi(registry), "127.0.0.1", 0) as address:
        client = socket.create_connection(address)
        for _ in range(turns):
            await asyncio.sleep(0)
    assert_ended(client)
