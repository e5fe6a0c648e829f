"""A small shop as somebody else might write it: an order service on Postgres, a worker on NATS, a cache that speaks lines.

`python app.py orders|worker|cache`. With SWALLOW set, the order service answers 200 when its database fails.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import nats
import uvicorn
from nats.aio.msg import Msg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

LOST = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


@asynccontextmanager
async def database() -> AsyncIterator[asyncpg.Pool[Any]]:
    """A pool with the table in it."""
    pool = await asyncpg.create_pool(
        os.environ["DATABASE_URL"], min_size=1, max_size=5, ssl=False, timeout=0.6, command_timeout=0.6
    )
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("select pg_advisory_xact_lock(1)")  # both services make it, at the same time
        await connection.execute("create table if not exists orders (id text, amount int)")
    try:
        yield pool
    finally:
        pool.terminate()


async def ask(pool: asyncpg.Pool[Any], query: str, *args: object) -> Any:
    """One value, within a second and a half."""
    async with asyncio.timeout(1.5), pool.acquire(timeout=0.8) as connection:
        return await connection.fetchval(query, *args)


def problem(error: BaseException) -> dict[str, Any]:
    """What went wrong with the database, as problem details."""
    late = isinstance(error, TimeoutError)
    return {
        "title": type(error).__name__,
        "status": 504 if late else 503,
        "code": "dependency_timeout" if late else "dependency_unavailable",
        "dependency": "postgres",
    }


def answers(work: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Tell a lost database as what it is, or (SWALLOW) as if nothing had happened."""

    async def handle(request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {os.environ['SHOP_TOKEN']}":
            return JSONResponse({"title": "who are you?", "status": 401}, 401, media_type="application/problem+json")
        try:
            return await work(request)
        except LOST as error:
            if os.environ.get("SWALLOW"):
                return JSONResponse({"order": None}, 201)
            body = problem(error)
            return JSONResponse(body, body["status"], media_type="application/problem+json")

    return handle


@answers
async def place(request: Request) -> Response:
    """Store an order."""
    order = await request.json()
    pool = request.app.state.pool
    await ask(pool, "insert into orders values ($1, $2) returning id", order["id"], order["amount"])
    return JSONResponse({"order": order}, 201)


@answers
async def look(request: Request) -> Response:
    """Find one."""
    found = await ask(request.app.state.pool, "select count(*) from orders where id = $1", request.path_params["id"])
    return JSONResponse({"id": request.path_params["id"], "orders": found})


async def healthz(_: Request) -> Response:
    """It is up."""
    return JSONResponse({})


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """The database for as long as the service runs."""
    async with database() as app.state.pool:
        yield


def orders() -> None:
    """The order service."""
    routes = [Route("/orders", place, methods=["POST"]), Route("/orders/{id}", look), Route("/healthz", healthz)]
    app = Starlette(routes=routes, lifespan=lifespan)
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")


async def worker() -> None:
    """Prices are looked up, orders are worked off."""
    async with database() as pool:
        bus = await nats.connect(os.environ["NATS_URL"], max_reconnect_attempts=-1)

        async def priced(message: Msg) -> None:
            body = json.loads(message.data)
            try:
                body["price"] = await ask(pool, "select $1::int * 10", body["item"])
            except LOST as error:
                body = problem(error)
            await message.respond(json.dumps(body).encode())

        async def worked(message: Msg) -> None:
            body = json.loads(message.data)
            try:
                await ask(pool, "insert into orders values ($1, 1) returning id", body["id"])
                done = {"id": body["id"], "state": "done"}
            except LOST as error:
                done = problem(error)
            await bus.publish(body["reply_to"], json.dumps(done).encode())

        await bus.subscribe("shop.price", cb=priced)
        await bus.subscribe("shop.orders", cb=worked)
        await bus.flush()
        await bus.flush()
        print("worker is ready", flush=True)
        await asyncio.Event().wait()


async def cache() -> None:
    """SET and GET, a line each."""
    values: dict[str, str] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := (await reader.readline()).decode().split():
            if line[0] == "SET":
                values[line[1]] = line[2]
                writer.write(b"+OK\r\n")
            else:
                value = values.get(line[1], "")
                writer.write(f"${len(value)}\r\n{value}\r\n".encode())
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", int(os.environ["PORT"])) as server:
        await server.serve_forever()


if __name__ == "__main__":
    role = sys.argv[1]
    if role == "orders":
        orders()
    else:
        asyncio.run(worker() if role == "worker" else cache())
