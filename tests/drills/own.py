"""A system of one's own, as its owner goes about it: `init` in a folder, its lines changed by hand, `attach` kept up, orders placed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.documents import ROOT, blocks

__all__ = ["COMPOSE", "EXAMPLE", "LOST_ANSWERS", "ORDERS", "OVERLAY", "QUICKER", "Attached", "attached", "begin", "edit", "place_orders"]  # fmt: skip

EXAMPLE = ROOT / "docs/examples/orders"
OVERLAY, COMPOSE = (
    block.text for block in blocks(ROOT / "docs/own-system.md") if block.text.startswith("services:\n  orders:")
)
"""The page's compose.drill.yaml and compose.yaml."""

ORDERS = (
    ("request: GET / #", "request: GET /healthz #"),
    ('#place: {request: POST /orders, json: {id: "{op_id}"},', 'place: {request: POST /orders, json: {id: "{op_id}", item: tea},'),
    ("#effects:", "effects:"),
)  # fmt: skip
"""What the owner of the orders service changes in what `init` wrote: a guess, and two lines that were switched off."""

QUICKER = (
    ("rate: 5/s", "rate: 10/s"),
    ("baseline: {window: 4s,", "baseline: {window: 2s,"),
    ("for: 10s", "for: 6s"),
)
LOST_ANSWERS = (
    ("{fault: latency, name: slow-postgres,", "{fault: cut, name: answer-lost, phase: after, operation: INSERT *, count: {every: 3},"),
    (", latency: 100ms}", "}"),
)  # fmt: skip
"""The fault that finds the example's flaw, instead of the one that `init` begins with."""

_WITHIN_S = 20.0


def begin(folder: Path) -> str:
    """`chaos-drill init` there; what it said."""
    told = subprocess.run(
        [sys.executable, "-m", "chaos", "init", str(folder)], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    return told.stdout


def edit(path: Path, *changes: tuple[str, str]) -> None:
    """Change a file as somebody would who reads it: each text stands there once."""
    text = path.read_text()
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in:\n{text}"
        text = text.replace(old, new)
    path.write_text(text)


@dataclass(frozen=True, slots=True)
class Attached:
    """`chaos-drill attach` that runs; `url` is its proxy's API."""

    process: subprocess.Popen[str]
    url: str

    def detach(self) -> int:
        """Ctrl-C; its exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(_WITHIN_S)


@contextmanager
def attached(links: Path, *arguments: str) -> Iterator[Attached]:
    """Keep the links up from when it says so; whatever happens, it is ended."""
    process = subprocess.Popen(
        [sys.executable, "-m", "chaos", "attach", str(links), "--port", "0", *arguments],
        stdout=subprocess.PIPE, stderr=sys.stderr, text=True,
    )  # fmt: skip
    with process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, f"attach ended with {process.wait()}"
            yield Attached(process, f"http://127.0.0.1:{json.loads(line)['port']}")
        finally:
            process.kill()


def place_orders(at: str, count: int = 6) -> list[str]:
    """So many orders, one after the other; their ids. With a fault of LOST_ANSWERS on, some of them would be stored twice."""
    names = [uuid.uuid4().hex for _ in range(count)]
    with httpx.Client(base_url=f"http://{at}", timeout=_WITHIN_S, trust_env=False) as client:
        for name in names:
            assert client.post("/orders", json={"id": name, "item": "milk"}).status_code == 201
    return names
