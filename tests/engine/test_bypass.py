"""The bypass check on real parts: a service wired through the proxy, one wired past it, and what is no bypass."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import asyncpg
import msgspec
import nats
import pytest

from chaos.engine.bypass import Passages, check_bypass
from chaos.engine.recorder import Recorder
from chaos.journal import open_journal
from chaos.links import LinkControl, connect_embedded, embedded_proxy
from chaos.model.event import AnyEvent, BypassChecked, Note, RunStarted
from chaos.model.link import Link, Protocol, Tls
from chaos.model.wire_record import WireRecord
from chaos.system import Address, HttpReady, LocalSystem, ServiceSpec, make_scratch, open_children
from chaos.system.callers import Caller
from tests.journal.build import sample_events

SERVICE = """
import asyncio, os, asyncpg, nats

async def main():
    # Kept open, and one that is gone when anybody looks.
    name = {"application_name": "web"}
    await (await asyncpg.connect(os.environ["POSTGRES_DSN"], server_settings=name)).close()
    pool = await asyncpg.create_pool(os.environ["POSTGRES_DSN"], min_size=2, server_settings=name)
    bus = await nats.connect(os.environ["NATS_URL"], name="web")

    async def answer(reader, writer):
        await reader.readline()
        writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
        writer.close()

    server = await asyncio.start_server(answer, os.environ["LISTEN_HOST"], int(os.environ["LISTEN_PORT"]))
    await server.serve_forever()

asyncio.run(main())
"""
WEB = ServiceSpec(
    name="web",
    argv=(sys.executable, "-c", SERVICE),
    calls={"web>postgres": "POSTGRES_DSN", "web>nats": "NATS_URL"},
    ready=HttpReady(path="/"),
)
LINKS = (Link(name="web>postgres", protocol=Protocol.POSTGRES), Link(name="web>nats", protocol=Protocol.NATS))
UNFRAMED = tuple(msgspec.structs.replace(one, tls=Tls.PASSTHROUGH) for one in LINKS)


@dataclass(frozen=True)
class Wired:
    """A system behind a proxy, with the recorder that follows its log."""

    system: LocalSystem
    control: LinkControl
    listeners: dict[str, str]
    recorder: Recorder

    async def check(self) -> dict[str, BypassChecked]:
        """What the check says, by callee."""
        told: list[AnyEvent] = []
        await check_bypass(self.system, LINKS, self.recorder.passages, told.append)
        return {one.callee: one for one in told if isinstance(one, BypassChecked)}


@asynccontextmanager
async def wired(folder: Path, links: Sequence[Link], through: Sequence[str]) -> AsyncIterator[Wired]:
    """The service and its servers, told the listeners of the links in `through`, and the callees' own addresses for the rest."""
    async with (
        embedded_proxy() as url,
        connect_embedded(url) as control,
        open_children(make_scratch("test"), folder / "logs") as children,
    ):
        with LocalSystem(children, folder / "logs", services=(WEB,)) as system, open_journal(folder) as journal:
            upstreams = system.reserve()
            listeners = {one.name: await control.create(one, upstream=str(upstreams[one.callee])) for one in links}
            await system.start({name: address(listeners[name]) for name in through})
            start = next(one for one in sample_events() if isinstance(one, RunStarted))
            plan = msgspec.structs.replace(
                start.plan,
                scenario=msgspec.structs.replace(
                    start.plan.scenario, links=msgspec.structs.replace(start.plan.scenario.links, links=tuple(links))
                ),
            )
            recorder = Recorder(journal, lambda _event: None, plan)
            recorder.begin(start)
            async with anyio.create_task_group() as group:
                group.start_soon(recorder.follow_wire, control.wire())
                yield Wired(system, control, listeners, recorder)
                group.cancel_scope.cancel()


def address(text: str) -> Address:
    """From `host:port`."""
    host, _, port = text.rpartition(":")
    return Address(host, int(port))


@pytest.mark.parametrize("links", [LINKS, UNFRAMED], ids=["framed", "unframed"])
async def test_who_goes_through_the_links_is_no_bypass(tmp_path: Path, links: tuple[Link, ...]) -> None:
    """Nor are connections opened and closed again, ended by the proxy, or restored, before the check or between two of them."""
    async with asyncio.timeout(90), wired(tmp_path, links, ("web>postgres", "web>nats")) as rig:
        first = await rig.check()
        assert {name: (one.around, one.error) for name, one in first.items()} == {
            "postgres": ((), None),
            "nats": ((), None),
        }
        assert first["postgres"].through >= 3  # two of the pool, and one that was closed
        dsn = rig.system.postgres.dsn_through(address(rig.listeners["web>postgres"])).reveal()
        bus = rig.system.nats.url_through(address(rig.listeners["web>nats"])).reveal()
        for _ in range(5):
            await (await asyncpg.connect(dsn, timeout=10)).close()
            await (await nats.connect(bus)).close()
        left = await asyncpg.connect(dsn, timeout=10)
        for name in rig.listeners:
            for one in await rig.control.connections(name):
                await rig.control.end_connection(one.id, reset=True)
        second = await rig.check()
        assert {name: (one.around, one.error) for name, one in second.items()} == {
            "postgres": ((), None),
            "nats": ((), None),
        }
        assert second["postgres"].through >= first["postgres"].through + 6
        assert second["nats"].through >= first["nats"].through + 5
        left.terminate()


async def test_a_service_wired_straight_to_postgres_is_named(tmp_path: Path) -> None:
    """With how often, from where, and which of its variables to mend; its traffic on NATS is innocent."""
    async with asyncio.timeout(90), wired(tmp_path, LINKS, ("web>nats",)) as rig:
        found = await rig.check()
    (text,) = found["postgres"].around
    assert text.startswith("web reaches postgres around its proxy (3 connections, the first from 127.0.0.1:")
    assert text.endswith("point POSTGRES_DSN at the link web>postgres")
    assert (found["nats"].around, found["nats"].error) == ((), None)
    assert found["nats"].through >= 1


async def test_a_service_wired_straight_to_nats_is_named(tmp_path: Path) -> None:
    """The same on NATS; and a connection that was made and closed during the faults shows later."""
    async with asyncio.timeout(90), wired(tmp_path, LINKS, ("web>postgres",)) as rig:
        first = await rig.check()
        await (await asyncpg.connect(rig.system.postgres.dsn.reveal(), timeout=10)).close()
        second = await rig.check()
    (text,) = first["nats"].around
    assert text.startswith("web reaches nats around its proxy (1 connection, from 127.0.0.1:")
    assert first["postgres"].around == ()
    (late,) = second["postgres"].around
    assert late.startswith("somebody reaches postgres around its proxy (1 connection, from 127.0.0.1:")
    assert late.endswith("let it reach postgres through a link")


async def test_a_server_that_does_not_answer_is_told(tmp_path: Path) -> None:
    """The check itself never fails the run: what it does not know it says."""
    async with asyncio.timeout(90), wired(tmp_path, LINKS, ("web>postgres", "web>nats")) as rig:
        child = rig.system.nats.child
        await child.stop(1000)
        found = await rig.check()
    assert (found["postgres"].around, found["postgres"].error) == ((), None)
    assert "monitor does not tell who is connected" in (found["nats"].error or "")


class Answering:
    """A system that tells of one connection to its NATS, and did not start its Postgres."""

    stores = frozenset({"nats"})

    async def callers(self, store: str) -> tuple[Caller, ...]:
        return (Caller(name="web", host="127.0.0.1", port=4711, key="cid=7"),)

    def variable(self, link: str) -> str | None:
        return None


async def checked(*records: WireRecord) -> BypassChecked:
    """The check's word on NATS, after these records of the wire log."""
    told: list[AnyEvent] = []
    passages = Passages(LINKS)
    for one in records:
        passages.take(one)
    await check_bypass(Answering(), LINKS[1:], passages, told.append)
    (event,) = told
    assert isinstance(event, BypassChecked)
    return event


@pytest.mark.parametrize("digest", ["port=4711", "cid=7"])
async def test_port_or_number_tells_that_a_connection_passed(digest: str) -> None:
    """Either will do: behind another proxy ports differ, on a link that is not framed there are no numbers."""
    event = await checked(WireRecord(1, "open", "web>nats", 1, digest=digest))
    assert (event.through, event.around, event.error) == (1, (), None)


@pytest.mark.parametrize("link", ["web>postgres", "a>b"])
async def test_what_passed_to_another_callee_proves_nothing(link: str) -> None:
    """Numbers are a server's own."""
    assert (await checked(WireRecord(1, "open", link, 1, digest="cid=7"))).around


async def test_a_store_that_the_run_did_not_start_is_not_asked() -> None:
    """Others may use it: a note, and no word on its faults."""
    told: list[AnyEvent] = []
    await check_bypass(Answering(), LINKS[:1], Passages(LINKS), told.append)
    (note,) = told
    assert isinstance(note, Note)
    assert note.text == "postgres was not started by this run, so nobody knows who else reaches it around its proxy"


async def test_a_log_with_gaps_blames_nobody() -> None:
    """The record of a connection may be among those that were dropped."""
    event = await checked(WireRecord(1, "lost", "", nbytes=4))
    assert (event.around, event.error) == ((), "records of the wire log were lost")
