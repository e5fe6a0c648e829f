"""Nobody listens where a link leads: told before any load, with where, which link and what to do; a note where nothing depends on it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chaos.cli import main
from chaos.engine import load_plan
from chaos.engine.upstreams import check_upstreams
from chaos.errors import NotReadyError
from chaos.model.event import AnyEvent, Note
from chaos.model.plan import Plan
from chaos.system import reserve_port

SCENARIO = """
name: shop
system: {upstreams: {shop: "%(shop)s"}}
links: links.yaml
workloads: [{kind: http, to: shop, rate: 5/s, operations: {look: {request: GET /}}}]
timeline: {faults: [{fault: latency, on: %(fault)s, for: 4s, latency: 100ms}]}
"""
LINKS = """
links:
  driver>shop: {protocol: http, upstream: "%(shop)s"}
  shop>postgres: {protocol: postgres, upstream: "%(postgres)s"}
"""


def plan(folder: Path, *, shop: str, postgres: str, fault: str, proxy: str = "") -> Plan:
    """Of a shop that runs already, and its database."""
    values = {"shop": shop, "postgres": postgres, "fault": fault}
    (folder / "links.yaml").write_text(LINKS % values)
    (folder / "drill.yaml").write_text(SCENARIO % values)
    return load_plan(str(folder / "drill.yaml"), proxy=proxy)


@contextmanager
def listener() -> Iterator[str]:
    """Where somebody listens; more is not asked."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield "{}:{}".format(*server.getsockname())


async def test_who_listens_everywhere_is_left_alone(tmp_path: Path) -> None:
    """Nothing is told, nothing raised."""
    told: list[AnyEvent] = []
    with listener() as shop, listener() as postgres:
        await check_upstreams(plan(tmp_path, shop=shop, postgres=postgres, fault="shop>postgres"), told.append)
    assert told == []


async def test_a_link_that_matters_must_lead_somewhere(tmp_path: Path) -> None:
    """One of the driver, one with a fault on it: each is named with its address."""
    told: list[AnyEvent] = []
    with reserve_port() as hold:
        dead = str(hold.address)
        with pytest.raises(NotReadyError) as refused:
            await check_upstreams(plan(tmp_path, shop=dead, postgres=dead, fault="shop>postgres"), told.append)
    assert str(refused.value) == (
        f"nobody listens at {dead}, where driver>shop leads (connection refused); "
        f"nobody listens at {dead}, where shop>postgres leads (connection refused); "
        "start it, or mend the address in the scenario or its link map"
    )
    assert told == []


async def test_behind_a_link_that_nothing_depends_on_it_is_a_note(tmp_path: Path) -> None:
    """The drill of another link goes on."""
    told: list[AnyEvent] = []
    with reserve_port() as hold, listener() as shop:
        await check_upstreams(plan(tmp_path, shop=shop, postgres=str(hold.address), fault="driver>shop"), told.append)
        (note,) = told
        assert isinstance(note, Note)
        assert note.text.startswith(f"nobody listens at {hold.address}, where shop>postgres leads")


async def test_upstreams_of_a_proxy_elsewhere_are_not_asked(tmp_path: Path) -> None:
    """Its loopback is another one."""
    told: list[AnyEvent] = []
    with reserve_port() as hold:
        dead = str(hold.address)
        elsewhere = plan(tmp_path, shop=dead, postgres=dead, fault="driver>shop", proxy="http://192.0.2.1:8474")
        await check_upstreams(elsewhere, told.append)
    assert told == []


def test_a_run_ends_before_any_load(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 5 with that sentence on the screen, and a record without a baseline."""
    with reserve_port() as hold:
        dead = str(hold.address)
        plan(tmp_path, shop=dead, postgres=dead, fault="driver>shop")
        code = main(["run", str(tmp_path / "drill.yaml"), "--out", str(tmp_path / "runs"), "--quiet"])
    assert code == 5
    assert f"chaos-drill: nobody listens at {dead}, where driver>shop leads" in capsys.readouterr().err
    (journal,) = (tmp_path / "runs").glob("*/journal.jsonl")
    phases = [one.get("phase") for one in map(json.loads, journal.read_text().splitlines())]
    assert "bring-up" in phases
    assert "baseline" not in phases
