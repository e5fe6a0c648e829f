"""Makes the table that a drill writes to, and is there."""

import asyncio
import os
import sys

import asyncpg


async def main() -> None:
    """Make it, and listen."""
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    await connection.execute("create table if not exists orders (id text)")
    await connection.close()
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


asyncio.run(main())
