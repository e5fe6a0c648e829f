"""Mails out of a JetStream queue, noted in Postgres when they are sent. Acknowledging too early is where its flaw is.

python app.py [--mended]              NATS_URL and DATABASE_URL say where
"""

import asyncio
import os
import sys

import asyncpg
import nats
from nats.js.api import ConsumerConfig, StreamConfig

MENDED = "--mended" in sys.argv
TABLE = "CREATE TABLE IF NOT EXISTS sent (mail text PRIMARY KEY)"
SEND = "INSERT INTO sent (mail) VALUES ($1) ON CONFLICT DO NOTHING"


async def handle(pool, message):
    if not MENDED:
        await message.ack()  # the flaw: whatever fails from here on, the mail is gone
    try:
        await pool.execute(SEND, message.data.decode())
    except (OSError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError) as error:
        print("not sent:", type(error).__name__, flush=True)
        if MENDED:
            await message.nak(delay=0.3)
        return
    if MENDED:
        await message.ack()  # the mend: only what is noted is done


async def main():
    client = await nats.connect(os.environ["NATS_URL"], max_reconnect_attempts=-1)
    jetstream = client.jetstream()
    await jetstream.add_stream(StreamConfig(name="MAILS", subjects=["mails.>"]))
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=1, max_size=4, command_timeout=1) as pool:
        await pool.execute(TABLE)
        queue = await jetstream.pull_subscribe("mails.>", "mailer", config=ConsumerConfig(ack_wait=2))
        print("ready", flush=True)
        while True:
            try:
                for message in await queue.fetch(10, timeout=1):
                    await handle(pool, message)
            except TimeoutError:
                continue


asyncio.run(main())
