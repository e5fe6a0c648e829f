"""The life of a fault on a server that answers when it likes: one onset, one end, and nothing left that nobody knows of."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio
import msgspec

from chaos.errors import ProxyError
from chaos.links import LinkControl, Toxic
from chaos.links.marking import Marker
from chaos.links.server_fault import ServerFault
from chaos.model.fault import FaultSpec
from chaos.model.wire_record import WireRecord

FOR_EVER_MS = 60_000


class Server:
    """Does at once what it is asked, answers to `slow` calls when `answer` is set, and breaks off those that are `lost`."""

    def __init__(self, slow: str = "", lost: str = "") -> None:
        self.slow, self.lost = slow, lost
        self.calls: list[str] = []
        self.asked, self.answer = anyio.Event(), anyio.Event()

    async def inject(self, _link: str, toxic: Toxic) -> str:
        await self._do("inject")
        return toxic.full_name

    async def end(self, _link: str, _name: str) -> None:
        await self._do("end")

    async def enable(self, _link: str, *, enabled: bool) -> None:
        await self._do("enable" if enabled else "disable")

    async def _do(self, what: str) -> None:
        self.calls.append(what)
        if what == self.slow:
            self.asked.set()
            await self.answer.wait()
        if what == self.lost:
            raise ProxyError("no answer")


class Life:
    """A fault that lives on a server, with what was told of it."""

    def __init__(self, server: Server, recorder: Server, fault: FaultSpec) -> None:
        self.marker = Marker()
        self.notes: list[str] = []
        both = {"server": cast("LinkControl", server), "recorder": cast("LinkControl", recorder)}
        self.fault = ServerFault(fault, "a>b", "run-1.a>b", marker=self.marker, **both)

    def told(self) -> list[str]:
        """What stands in the wire log."""
        records = [one for told in self.marker.take() for one in msgspec.msgpack.decode(told, type=list[WireRecord])]
        assert [one.t_ns for one in records] == sorted(one.t_ns for one in records)
        return [f"{one.kind} {one.status}".strip() for one in records]


@asynccontextmanager
async def life(
    server: Server, *, kind: str = "latency", for_ms: float = FOR_EVER_MS, in_ms: float = 0
) -> AsyncIterator[Life]:
    """Armed to begin in so many milliseconds; over by itself with the block."""
    fault = FaultSpec(name="f", kind=kind, links=("a>b",), at_ms=0, for_ms=for_ms)
    one = Life(server, server, fault)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(one.fault.live, time.monotonic_ns() + int(in_ms * 1e6), one.notes.append)
            yield one


async def later(server: Server) -> None:
    """Let everything run that can, then answer."""
    await anyio.wait_all_tasks_blocked()
    server.answer.set()


async def test_healed_while_its_timed_end_is_under_way_it_ends_once() -> None:
    """The healing waits for it and finds nothing to do."""
    server = Server(slow="end")
    async with life(server, for_ms=1) as one, anyio.create_task_group() as group:
        await server.asked.wait()
        group.start_soon(later, server)
        await one.fault.heal()
        assert one.fault.active() == ()
    assert one.told() == ["on", "off ended"]
    assert server.calls == ["inject", "end"]


async def test_healed_while_it_is_being_made_it_has_an_onset_and_an_end() -> None:
    """The request is carried through, and what it made is taken away; meanwhile it counts as on."""
    server = Server(slow="inject")
    async with life(server) as one, anyio.create_task_group() as group:
        await server.asked.wait()
        assert [active.fault for active in one.fault.active()] == ["f"]
        assert one.told() == ["on"]
        group.start_soon(later, server)
        await one.fault.heal()
        assert one.fault.over
    assert one.told() == ["off healed"]
    assert server.calls == ["inject", "end"]


async def test_a_healing_that_is_given_up_is_done_as_soon_as_the_server_answers() -> None:
    """Its deadline was over before; nobody asks again, and the fault does not stay until its planned end."""
    server = Server(slow="inject")
    async with life(server) as one:
        await server.asked.wait()
        with anyio.move_on_after(0.01):
            await one.fault.heal()
        assert one.fault.active()
        server.answer.set()
    assert one.fault.over
    assert one.told() == ["on", "off healed"]


async def test_an_answer_that_is_lost_leaves_a_fault_that_may_have_been() -> None:
    """It has an onset and an end, nothing counts as hit, and it is taken away."""
    server = Server(lost="inject")
    async with life(server) as one:
        pass
    assert one.told() == ["on", "off ended"]
    assert server.calls == ["inject", "end"]
    assert one.notes == ["f on a>b could not be begun: no answer"]
    passed: list[tuple[Any, ...]] = [(time.monotonic_ns(), "request", "a>b", 1, 1, ">", "GET /", 10)]
    assert one.marker.mark(msgspec.msgpack.encode(passed)) == msgspec.msgpack.encode(passed)


async def test_what_cannot_be_ended_stays_on_and_can_be_healed_again() -> None:
    """It is told by a note, and read back."""
    server = Server(lost="end")
    async with life(server, for_ms=1) as one:
        pass
    assert one.notes == ["f on a>b could not be ended in time: no answer"]
    assert one.fault.active()
    server.lost = ""
    await one.fault.heal()
    assert one.fault.over
    assert one.told() == ["on", "off healed"]


async def test_healed_before_its_time_it_never_begins() -> None:
    """Nothing is asked of the server, and nobody waits for its time."""
    server = Server()
    async with life(server, in_ms=FOR_EVER_MS) as one:
        await anyio.wait_all_tasks_blocked()
        await one.fault.heal()
    assert (server.calls, one.told()) == ([], [])


async def test_a_refuse_ends_on_the_server_before_it_ends_at_the_recorder() -> None:
    """Or callers would be accepted and closed once they are told that it is over."""
    server = Server()
    async with life(server, kind="refuse", for_ms=1) as one:
        pass
    assert server.calls == ["disable", "enable", "end"]
    assert one.told() == []
