"""The page on conformance names tests and recorded rows that exist, for all sixty points; and the points that had no test yet."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

from chaos.proxy import ToxicSpec
from chaos.proxy.draws import draw_toxicity

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/conformance.md").read_text(encoding="utf-8")


def test_every_point_is_on_the_page_with_a_proof() -> None:
    """All sixty, in order, none without a test or a recorded row."""
    rows = re.findall(r"(?m)^\| (\d+) \| .*? \| (.*) \|$", PAGE)
    assert [int(number) for number, _ in rows] == list(range(1, 61))
    assert all("`" in proof for _, proof in rows)


def test_what_the_page_names_exists() -> None:
    """Every test is a function of a file here, every recorded row a label of the recording."""
    sources = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    tests = set(re.findall(r"(?m)^(?:async )?def (test_\w+)", sources))
    lines = (ROOT / "tests/data/toxiproxy-2.12-api.jsonl").read_text(encoding="utf-8").splitlines()
    labels = {json.loads(line)["label"] for line in lines}
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    recorded = {
        label for row in re.findall(r"recorded ((?:`[^`]+` ?)+)", PAGE) for label in re.findall(r"`([^`]+)`", row)
    }
    assert named - tests == set()
    assert recorded - labels == set()
    assert len(recorded) > 80


def test_toxicity_is_the_share_of_connections() -> None:
    """Binomial: of ten thousand connections about as many as asked for are hit, none at 0, all at 1."""
    draws = [draw_toxicity(7, "a>b", number, "t") for number in range(10_000)]
    assert all(0 <= draw < 1 for draw in draws)
    for share in (0.1, 0.5, 0.9):
        spread = (10_000 * share * (1 - share)) ** 0.5
        assert abs(sum(draw < share for draw in draws) - 10_000 * share) < 5 * spread


async def test_a_seed_decides_the_same_twice(rig_of: Any) -> None:
    """Two servers with one seed hit the same connections and slice alike; one with another seed does not."""

    async def run(seed: int) -> tuple[list[int], list[int]]:
        rig = await rig_of(seed=seed)
        rig.proxy.add_toxic(ToxicSpec(type="noop", name="half", toxicity=0.5))
        rig.proxy.add_toxic(ToxicSpec(type="slicer", attributes={"average_size": 50, "size_variation": 40}))
        for _ in range(30):
            client = await rig.connect()
            await client.send(b"x")
            await client.exactly(1)
        connections = rig.proxy.connections()
        stage = next(seat.stage for seat in connections[0].down.seats if seat.toxic.type == "slicer")
        sizes = [len(piece) for piece in stage.data(bytes(1000), time.monotonic_ns())]
        return [c.number for c in connections if any(s.toxic.name == "half" for s in c.down.seats)], sizes

    first, again, other = await run(7), await run(7), await run(8)
    assert first == again
    assert first[0] != other[0]
    assert first[1] != other[1]
