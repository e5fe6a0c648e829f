"""The plain data path: bytes, ends, resets, dials, back-pressure, counters, listening."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from chaos.proxy import ProxySettings
from chaos.proxy.errors import ListenError, ProxyExistsError, ProxyNotFoundError

BIG = 8 * 1024 * 1024


async def test_bytes_pass_both_ways(rig: Any) -> None:
    """What is sent comes back."""
    client = await rig.connect()
    await client.send(b"hello")
    assert await client.exactly(5) == b"hello"


async def test_half_close_passes_and_the_late_reply_arrives(open_rig: Any) -> None:
    """The upstream sees the end of the request, and its reply after it still arrives."""
    client, upstream = await open_rig.pair()
    await client.send(b"req")
    client.half_close()
    assert await upstream.rest() == b"req"
    await upstream.send(b"late reply")
    upstream.half_close()
    assert await client.rest() == b"late reply"
    await open_rig.settled()


async def test_strict_loses_the_late_reply(rig_of: Any) -> None:
    """As 2.12 does: an end of either side ends both."""
    rig = await rig_of(lambda peer: asyncio.sleep(0), strict=True)
    client, upstream = await rig.pair()
    await client.send(b"req")
    client.half_close()
    assert await upstream.rest() == b"req"
    assert await client.rest() == b""


async def test_data_before_a_close_is_delivered(open_rig: Any) -> None:
    """64 KB, then a close: all of it arrives."""
    client, upstream = await open_rig.pair()
    await upstream.send(bytes(64_000))
    upstream.close()
    assert len(await client.rest()) == 64_000


async def test_an_upstream_that_speaks_and_leaves_at_once_is_heard(rig_of: Any) -> None:
    """However quick it is, its words and its end reach the client."""

    async def hello(peer: Any) -> None:
        await peer.send(b"hello")
        peer.half_close()

    rig = await rig_of(hello)
    for client in [await rig.connect() for _ in range(50)]:
        assert await client.rest() == b"hello"


async def test_an_upstream_that_speaks_first_meets_its_limit(rig_of: Any) -> None:
    """A toxic that closes before the client's side is joined still lets its bytes through."""
    rig = await rig_of(lambda peer: peer.send(b"hello"))
    rig.toxic("limit_data", bytes=3)
    for client in [await rig.connect() for _ in range(50)]:
        assert await client.rest() == b"hel"


@pytest.mark.parametrize("side", ["client", "upstream"])
async def test_a_reset_passes_as_a_reset(open_rig: Any, side: str) -> None:
    """An RST of one side is an RST for the other."""
    client, upstream = await open_rig.pair()
    resets, sees = (client, upstream) if side == "client" else (upstream, client)
    resets.reset()
    assert await sees.ending() == "rst"
    assert [(r.kind, r.status) for r in open_rig.wire()] == [("open", ""), ("close", "rst")]


async def test_the_wire_log_tells_from_which_port_the_upstream_was_dialled(open_rig: Any) -> None:
    """By it, whoever the upstream says is connected is found again; one that was never dialled has none."""
    _, upstream = await open_rig.pair()
    open_rig.toxic("hang")
    await open_rig.connect()
    opened: list[str] = []
    async with asyncio.timeout(10):
        while len(opened) < 2:
            opened += [one.digest for one in open_rig.wire() if one.kind == "open"]
            await asyncio.sleep(0.001)
    assert opened == [f"port={upstream.sock.getpeername()[1]}", ""]


async def test_an_upstream_that_refuses_is_accept_then_eof(rig: Any) -> None:
    """The connect succeeds, then the stream ends; the wire log says why."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    await rig.proxy.update(upstream=f"127.0.0.1:{port}")
    client = await rig.connect()
    assert await client.ending() == "fin"
    assert [(r.kind, r.status) for r in rig.wire()] == [("close", "dial-failed")]


@pytest.mark.parametrize("upstream", ["nohostport", "127.0.0.1:notaport", "127.0.0.1:99999", "a" * 300 + ":1", ":"])
async def test_an_upstream_that_is_no_address_only_fails_the_dial(rig: Any, upstream: str) -> None:
    """Not validated, as with Toxiproxy; the connection ends, the proxy lives."""
    await rig.proxy.update(upstream=upstream)
    client = await rig.connect()
    assert await client.ending() in {"fin", "rst"}
    await rig.settled()


async def test_a_slow_dial_blocks_nothing(rig: Any) -> None:
    """While one dial hangs, other connections pass, and disabling answers at once."""
    with socket.socket() as full:
        # A backlog of one, filled: further connects hang in SYN_SENT.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
            fillers.append(filler)
        good = rig.proxy.upstream
        await rig.proxy.update(upstream=f"127.0.0.1:{full.getsockname()[1]}")
        stuck = await rig.connect()
        await stuck.send(b"x")
        rig.proxy.upstream = good
        client = await rig.connect()
        await client.send(b"hello")
        assert await client.exactly(5) == b"hello"
        await asyncio.wait_for(rig.proxy.update(enabled=False), 1)
        assert await stuck.ending() in {"fin", "rst"}
        await rig.settled()
        for filler in fillers:
            filler.close()


async def test_a_dial_has_a_deadline(rig_of: Any) -> None:
    """A dial that is never answered ends the connection."""
    rig = await rig_of(dial_timeout_ms=50)
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        await rig.proxy.update(upstream=f"127.0.0.1:{full.getsockname()[1]}")
        client = await rig.connect()
        assert await client.ending() == "fin"
        for filler in fillers:
            filler.close()


async def test_a_reader_that_does_not_read_stops_the_sender(open_rig: Any) -> None:
    """Memory is bounded: the sender is paused, and everything arrives once the reader reads."""
    client, upstream = await open_rig.pair()
    sending = asyncio.create_task(client.send(bytes(4 * BIG)))
    async with asyncio.timeout(10):
        seen = -1
        while seen != open_rig.proxy.received_bytes(">"):
            seen = open_rig.proxy.received_bytes(">")
            await asyncio.sleep(0.1)
    assert seen < 2 * BIG
    assert not sending.done()
    assert len(await upstream.exactly(4 * BIG)) == 4 * BIG
    await sending


async def test_counters_move_while_the_connection_lives(open_rig: Any) -> None:
    """Bytes of live connections are counted, and kept when they end."""
    client, upstream = await open_rig.pair()
    await client.send(b"12345")
    await upstream.exactly(5)
    await upstream.send(b"123")
    await client.exactly(3)
    proxy = open_rig.proxy
    counts = [proxy.received_bytes(">"), proxy.sent_bytes(">"), proxy.received_bytes("<"), proxy.sent_bytes("<")]
    assert counts == [5, 5, 3, 3]
    client.reset()
    await upstream.ending()
    await open_rig.settled()
    assert [proxy.received_bytes(">"), proxy.sent_bytes("<")] == [5, 3]


async def test_disable_closes_and_enable_takes_the_same_port(rig: Any) -> None:
    """Live connections end, connects are refused, the port comes back; both are idempotent."""
    client = await rig.connect()
    await client.send(b"x")
    await client.exactly(1)
    listen = rig.proxy.listen
    await rig.proxy.update(enabled=False)
    await rig.proxy.update(enabled=False)
    assert await client.ending() == "fin"
    with pytest.raises(ConnectionRefusedError):
        await rig.connect()
    await rig.proxy.update(enabled=True)
    await rig.proxy.update(enabled=True)
    assert rig.proxy.listen == listen
    again = await rig.connect()
    await again.send(b"y")
    assert await again.exactly(1) == b"y"


async def test_update_to_the_same_address_keeps_connections(rig: Any) -> None:
    """`localhost` resolves to what is there already."""
    client = await rig.connect()
    await client.send(b"x")
    await client.exactly(1)
    await rig.proxy.update(listen=rig.proxy.listen.replace("127.0.0.1", "localhost"), upstream=rig.proxy.upstream)
    await client.send(b"y")
    assert await client.exactly(1) == b"y"


async def test_update_to_another_address_drops_connections_and_keeps_toxics(rig: Any) -> None:
    """A new port in `listen`, the toxics stay."""
    rig.toxic("latency", latency=1)
    client = await rig.connect()
    await client.send(b"x")
    await client.exactly(1)
    before = rig.proxy.listen
    await rig.proxy.update(listen="127.0.0.1:0")
    assert rig.proxy.listen != before
    assert await client.ending() == "fin"
    assert [toxic.name for toxic in rig.proxy.toxics] == ["latency_downstream"]


async def test_two_proxies_on_one_address(rig: Any) -> None:
    """The second fails with Go's words and is not stored; after the first is gone it can be had."""
    listen = rig.proxy.listen
    settings = ProxySettings(name="other", listen=listen, upstream="127.0.0.1:1")
    with pytest.raises(ListenError, match=rf"^listen tcp {listen}: bind: address already in use$"):
        await rig.registry.create(settings)
    with pytest.raises(ProxyNotFoundError):
        rig.registry.get("other")
    with pytest.raises(ProxyExistsError):
        await rig.registry.create(ProxySettings(name="a>b", upstream="x:1"))
    await rig.registry.remove("a>b")
    assert (await rig.registry.create(settings)).listen == listen


async def test_a_failed_restart_leaves_the_proxy_disabled_with_the_new_text(rig: Any) -> None:
    """And a later one with a good address works."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        text = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ListenError, match="already in use"):
            await rig.proxy.update(listen=text)
        assert (rig.proxy.enabled, rig.proxy.listen) == (False, text)
    await rig.proxy.update(enabled=True)
    assert (rig.proxy.enabled, rig.proxy.listen) == (True, text)


@pytest.mark.parametrize(
    ("listen", "create", "update"),
    [
        ("garbage", "listen tcp: address garbage: missing port in address", "address garbage: missing port in address"),
        ("127.0.0.1:99999", "listen tcp: address 99999: invalid port", "address 99999: invalid port"),
        (
            "203.0.113.9:21001",
            "listen tcp 203.0.113.9:21001: bind: cannot assign requested address",
            "listen tcp 203.0.113.9:21001: bind: cannot assign requested address",
        ),
    ],
)
async def test_listen_errors_in_gos_words(rig: Any, listen: str, create: str, update: str) -> None:
    """Clients compare these texts; on update the prefix is missing where Go only resolves."""
    with pytest.raises(ListenError) as caught:
        await rig.registry.create(ProxySettings(name="bad", listen=listen, upstream="x:1"))
    assert str(caught.value) == create
    with pytest.raises(ListenError) as caught:
        await rig.proxy.update(listen=listen)
    assert str(caught.value) == update


async def test_missing_listen_is_every_address_and_any_port(rig: Any) -> None:
    """Shown as Go shows it."""
    for listen in ("", ":0", "0.0.0.0:0"):
        proxy = await rig.registry.create(ProxySettings(name=f"w{listen}", listen=listen, upstream="x:1"))
        assert proxy.listen.startswith("[::]:")
    six = await rig.registry.create(ProxySettings(name="six", listen="[::1]:0", upstream="x:1"))
    assert six.listen.startswith("[::1]:")


async def test_a_disabled_proxy_keeps_its_text_and_binds_nothing(rig: Any) -> None:
    """No port is checked until it is enabled."""
    settings = ProxySettings(name="off", listen="localhost:1", upstream="x:1", enabled=False)
    proxy = await rig.registry.create(settings)
    assert (proxy.listen, proxy.enabled) == ("localhost:1", False)


async def test_everything_in_a_line(rig: Any) -> None:
    """`repr` shows the state."""
    assert repr(rig.proxy) == f"<Proxy a>b {rig.proxy.listen} to {rig.upstream.address} enabled connections=0>"
    client = await rig.connect()
    await client.send(b"x")
    await client.exactly(1)
    assert repr(rig.proxy.connections()[0]) == "<Connection a>b#1 open up=1 down=1>"
