"""Orders on Postgres: one table, one route. A broken connection is tried again, which is where its flaw is.

python app.py PORT [--mended]         DATABASE_URL names the database
"""

import os
import sys
from contextlib import asynccontextmanager

import asyncpg
import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel

MENDED = "--mended" in sys.argv
TABLE = "CREATE TABLE IF NOT EXISTS orders (number serial PRIMARY KEY, id text NOT NULL, item text NOT NULL)"
UNIQUE = "CREATE UNIQUE INDEX IF NOT EXISTS one_order ON orders (id)"
# The flaw: after a lost answer nobody knows whether the row is there, and this statement stores another one.
INSERT = "INSERT INTO orders (id, item) VALUES ($1, $2)"
# The mend: the order's own id makes the second attempt harmless.
INSERT_ONCE = f"{INSERT} ON CONFLICT (id) DO NOTHING"


class Order(BaseModel):
    id: str
    item: str


@asynccontextmanager
async def lifespan(app: FastAPI):
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=2, max_size=8, command_timeout=1) as pool:
        await pool.execute(TABLE)
        if MENDED:
            await pool.execute(UNIQUE)
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/healthz")
async def healthz():
    return {"ok": True}


@app.post("/orders", status_code=201)
async def place(order: Order):
    for attempt in (1, 2):
        try:
            await app.state.pool.execute(INSERT_ONCE if MENDED else INSERT, order.id, order.item)
            return order
        except (OSError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError):
            if attempt == 2:
                who = {"code": "dependency_unavailable", "dependency": "postgres"}
                return JSONResponse(who, 503, media_type="application/problem+json")


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
