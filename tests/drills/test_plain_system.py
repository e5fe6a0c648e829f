"""A system that we did not write, driven by plain workloads of every kind: it holds, and a swallowed error is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.drills.running import run_drill

pytestmark = [pytest.mark.drill, pytest.mark.xdist_group("drill"), pytest.mark.timeout(180)]

SHOP = Path(__file__).parent / "data/shop/shop.yaml"
TOKEN = "shop-token-0815-canary"


def test_a_shop_holds(tmp_path: Path) -> None:
    """All four kinds are judged, the faults are proven, and the token that the driver sends is in no file."""
    env = {"SHOP_TOKEN": TOKEN, "SHOP_SWALLOW": ""}
    result = run_drill(str(SHOP), "--no-confirm", out=tmp_path, env=env)
    assert result.code == 0, result.explain()
    assert set(result.cells("injected").values()) == {"HOLDS"}, result.explain()
    content = result.cells("ok-means-ok")
    assert {name.split("/")[-1] for name in content} == {"orders", "bus", "table", "cache"}
    assert set(content.values()) == {"HOLDS"}, result.explain()
    assert content["ok-means-ok/slow-for-worker/bus"] == "HOLDS"
    assert not [path for path in result.folder.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    assert TOKEN not in result.screen


def test_a_shop_that_swallows_is_found(tmp_path: Path) -> None:
    """201 for an order that was not stored: wrong content under the fault, and nowhere else."""
    env = {"SHOP_TOKEN": TOKEN, "SHOP_SWALLOW": "1"}
    result = run_drill(str(SHOP), "--no-confirm", out=tmp_path, env=env)
    assert result.code == 1, result.explain()
    assert result.violated() == {"ok-means-ok"}, result.explain()
    wrong = {name for name, verdict in result.cells("ok-means-ok").items() if verdict == "VIOLATED"}
    assert wrong == {"ok-means-ok/orders-without-database/orders"}
