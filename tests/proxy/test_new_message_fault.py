"""A new message fault is one file: the example of the page on writing one, put into the folder and driven over the API."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proxy.api_rig import open_rig_api
from tests.proxy.conftest import Peer, serve
from tests.proxy.http_streams import get
from tests.proxy.message_rig import HIT, STREAM, Server, event, reply_to, until_event
from tests.proxy.shown_toxic import shown_toxic


@pytest.fixture
def leak(tmp_path: Path) -> Iterator[str]:
    """The page's example as a file of the folder, for one test."""
    with shown_toxic("writing-a-message-fault.md", "leak", tmp_path, below_lines=50) as shown:
        yield shown


@pytest.mark.parametrize(
    ("phase", "target", "heard", "received"),
    [
        ("before", "/hit", b"", HIT[:7]),
        ("after", "/hit", reply_to("/hit")[:7], HIT),
        ("during:2", "/stream", until_event(2) + event(2)[:7], get("/stream")),
    ],
)
async def test_it_acts_at_every_phase(leak: str, phase: str, target: str, heard: bytes, received: bytes) -> None:
    """So many bytes of the request, of the answer or of an item get through, then the end; the message behind is as ever."""
    server = Server()
    async with open_rig_api() as api, serve(server) as upstream:
        asked = {"name": "p", "listen": "127.0.0.1:0", "upstream": upstream.address, "protocol": "http"}
        await api.ask("POST", "/proxies", asked)
        toxic = {"type": leak, "phase": phase, "attributes": {"bytes": 7}, "match": target, "count": {"first": 1}}
        assert (await api.ask("POST", "/proxies/p/toxics", toxic))[0] == 200
        proxy = api.registry.get("p")
        for whole in (False, True):
            host, _, port = proxy.listen.rpartition(":")
            client = Peer(socket.create_connection((host, int(port))))
            await client.send(get(target))
            if whole:
                answer = STREAM if target == "/stream" else reply_to(target)
                assert await client.exactly(len(answer)) == answer
            else:
                assert await client.exactly(len(heard)) == heard
                assert await client.ending() == "rst"
                assert server.received in (received, b"")  # an RST may overtake what it follows
            client.close()


async def test_it_is_refused_like_any_other(leak: str) -> None:
    """By what it says of itself."""
    async with open_rig_api() as api:
        await api.ask("POST", "/proxies", {"name": "p", "upstream": "u:1", "listen": "127.0.0.1:0", "protocol": "nats"})
        told = [
            (await api.ask("POST", "/proxies/p/toxics", {"type": leak, **body}))[1]["error"]
            for body in ({"phase": "connect"}, {"phase": "during:2"}, {"attributes": {"bytes": 0}}, {"answer": "503"})
        ]
    assert told == [
        "bad request body: leak at connect means nothing on a link of nats; there is no message yet: cut at connect",
        "bad request body: leak at during means nothing on a link of nats; an answer of nats has no items: leak before or after",
        "bad request body: leak bytes 0 lets nothing pass: give 1 or more, or use cut",
        "bad request body: leak answers nothing: leave answer out, or use error",
    ]
