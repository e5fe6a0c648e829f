"""The same random life of a connection through ours (strict) and a real Toxiproxy: bytes and ends, shrunk where they differ."""

from __future__ import annotations

import random
import select
import socket
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tests.proxy.stream_actions import KINDS, SIDES, Action, Add, Close, Remove, Send, Update
from tests.proxy.stream_model import Step, script
from tests.proxy.test_api_differential import free_port, running
from tests.real_toxiproxy import MISSING, find_real_server

HANG_GUARD_S = 20.0
#: What is due is given up after this; what is not has this long to come all the same, on both servers alike.
DUE_S, QUIET_S, EXTRA_S = 3.0, 0.03, 0.003
PATTERN = random.Random(2).randbytes(1 << 18)

#: Of the client and of the server: how many bytes, whether they are the first ones that the other side sent, the end.
Seen = tuple[tuple[int, bytes, str], ...]

sides, streams = st.sampled_from(list(SIDES)), st.sampled_from(list(SIDES.values()))
toxicities = st.sampled_from([1, 1, 1, 0])
sends = st.builds(Send, side=sides, size=st.sampled_from([1, 10, 300, 4000]))
closes = st.builds(Close, side=sides, how=st.sampled_from(["half", "rst"]))
adds = st.sampled_from([(kind, attributes) for kind, choices in KINDS.items() for attributes in choices]).flatmap(
    lambda chosen: st.builds(
        Add, stream=streams, type=st.just(chosen[0]), attributes=st.just(chosen[1]), toxicity=toxicities
    )
)
updates = st.builds(
    Update,
    number=st.integers(0, 5),
    choice=st.none() | st.integers(0, 6),
    toxicity=st.none() | st.sampled_from([0, 1]),
)
removes = st.builds(Remove, number=st.integers(0, 5))
changes = st.one_of(sends, adds, sends, updates, adds, removes)
# In parts, for long ones that still shrink to nothing; few of them end with what comes first.
parts = st.tuples(st.lists(changes, max_size=9), st.lists(changes, max_size=9), st.lists(closes, max_size=1))
lives = st.lists(parts, max_size=5).map(lambda found: [action for part in found for some in part for action in some])


class Side:
    """A socket, what came out of it, and how that ended."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.got = b""
        self.end = ""
        self.sent = 0

    def send(self, size: int) -> None:
        self.sock.sendall(PATTERN[self.sent : self.sent + size])
        self.sent += size

    def close(self, how: str) -> None:
        if how == "half":
            self.sock.shutdown(socket.SHUT_WR)
            return
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
        self.end = "closed"

    def read(self) -> None:
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            self.end = "rst"
            return
        self.got += data
        self.end = "" if data else "eof"


class Player:
    """Plays steps on a proxy of one of the servers, with its own upstream; the connection begins with the first byte or end."""

    def __init__(self, http: httpx.Client, name: str, resources: ExitStack) -> None:
        self.http = http
        self.resources = resources
        self.upstream = resources.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.upstream.settimeout(HANG_GUARD_S)
        host, port = self.upstream.getsockname()
        body = {"name": name, "listen": "127.0.0.1:0", "upstream": f"{host}:{port}"}
        self.listen = self.ask("POST", "/proxies", body).json()["listen"]
        self.path = f"/proxies/{name}"
        resources.callback(self.ask, "DELETE", self.path)
        self.sides: dict[str, Side] = {}

    def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return self.http.request(method, path, json=body).raise_for_status()

    def side(self, name: str) -> Side:
        if not self.sides:
            host, _, port = self.listen.rpartition(":")
            client = socket.create_connection((host, int(port)), HANG_GUARD_S)
            self.sides["client"] = Side(self.resources.enter_context(client))
            self.sides["server"] = Side(self.resources.enter_context(self.upstream.accept()[0]))
        return self.sides[name]

    def do(self, step: Step) -> None:
        """Take the step; calls return when every connection has changed."""
        action, toxic = step.action, f"{self.path}/toxics/{step.name}"
        if isinstance(action, Send):
            self.side(action.side).send(action.size)
        elif isinstance(action, Close):
            self.side(action.side).close(action.how)
        elif isinstance(action, Add):
            body = {"name": step.name, "stream": action.stream, "type": action.type, "toxicity": action.toxicity}
            self.ask("POST", f"{self.path}/toxics", {**body, "attributes": step.attributes})
        elif isinstance(action, Update):
            self.ask("POST", toxic, {"attributes": step.attributes, "toxicity": action.toxicity})
        else:
            self.ask("DELETE", toxic)

    def read(self, seconds: float) -> bool:
        """Take what is there or comes within that time; whether there was anything."""
        open_ = {side.sock: side for side in self.sides.values() if not side.end}
        ready = select.select(list(open_), [], [], max(0, seconds))[0] if open_ else []
        for sock in ready:
            open_[sock].read()
        return bool(ready)

    def seen(self) -> Seen:
        return tuple((len(side.got), side.got, side.end) for side in self.sides.values())

    def wait(self, step: Step, *, last: bool) -> Seen:
        """Until what is due is there, and a little longer."""
        expected, due = step.expected, time.monotonic() + DUE_S
        while self.sides and time.monotonic() < due:
            sizes = tuple(len(side.got) for side in self.sides.values())
            ends = tuple(bool(side.end) for side in self.sides.values())
            if all(has >= wants for has, wants in zip((*sizes, *ends), (*expected.sizes, *expected.ends), strict=True)):
                break
            self.read(due - time.monotonic())
        while self.sides and self.read(EXTRA_S if expected.sure and not last else QUIET_S):
            if all(side.end for side in self.sides.values()):
                break
        return self.seen()


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """A real one and ours."""
    real = find_real_server()
    if real is None:
        pytest.skip(MISSING)
    ours = [sys.executable, "-m", "chaos.proxy", "-strict"]
    with ExitStack() as stack:
        clients = []
        for argv in ([real], ours):
            port = free_port()
            stack.enter_context(running([*argv, "-host", "127.0.0.1", "-port", str(port)], port))
            clients.append(stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=HANG_GUARD_S)))
        yield clients[0], clients[1]


numbers = count()


@contextmanager
def player(http: httpx.Client) -> Iterator[Player]:
    """A player whose sockets and proxy go afterwards."""
    with ExitStack() as resources:
        yield Player(http, f"p{next(numbers)}", resources)


def compare(servers: tuple[httpx.Client, httpx.Client], actions: list[Action]) -> None:
    """Step by step on the one, then the other; the first difference ends it."""
    steps = script(actions)
    with player(servers[0]) as real, player(servers[1]) as ours:
        for number, step in enumerate(steps, 1):
            last = number == len(steps)
            both = []
            for one in (real, ours):
                one.do(step)
                both.append(one.wait(step, last=last))
            note(f"{step}: {[[(size, end) for size, _, end in seen] for seen in both]}")
            assert both[0] == both[1], step


SETTINGS = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.mark.timeout(600)
@settings(SETTINGS, max_examples=25, derandomize=True)
@given(actions=lives)
def test_random_streams_are_those_of_toxiproxy(
    servers: tuple[httpx.Client, httpx.Client], actions: list[Action]
) -> None:
    """The same bytes and the same ends after every step, whatever toxics come, change and go in between."""
    compare(servers, actions)


@pytest.mark.repeat
@pytest.mark.timeout(1800)
@settings(SETTINGS, max_examples=2000)
@given(actions=lives)
def test_many_random_streams_are_those_of_toxiproxy(
    servers: tuple[httpx.Client, httpx.Client], actions: list[Action]
) -> None:
    """Others each time: what is found is shrunk, and found again by the next run."""
    compare(servers, actions)
