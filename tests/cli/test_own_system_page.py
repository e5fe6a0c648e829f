"""docs/own-system.md: every file on it is valid as it stands, and each line it promises enables what it says."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import msgspec
import pytest
import yaml

from chaos.cli import attach
from chaos.engine import attached_links, begin_drill, load_plan
from chaos.engine.init_compose import read_compose
from chaos.engine.init_hints import COMPOSE_FILES
from chaos.engine.init_sketch import KNOWN_PORTS
from chaos.errors import UsageError
from chaos.model.plan import Plan
from tests.documents import ROOT, blocks

PAGE = ROOT / "docs/own-system.md"
TEXT = PAGE.read_text(encoding="utf-8")
TEN, LINKS, RUNNING, OVERLAY, COMPOSE, LINUX_LINKS, EFFECTS = (
    block.text for block in blocks(PAGE) if block.language == "yaml"
)


def planned(folder: Path, scenario: str, links: str = "") -> Plan:
    """The plan of the page's files."""
    (folder / "drill.yaml").write_text(scenario)
    (folder / "links.yaml").write_text(links)
    return load_plan(str(folder / "drill.yaml"))


def not_judged(folder: Path, scenario: str) -> set[str]:
    """Oracles without any cell."""
    plan = planned(folder, scenario)
    return {one.cell.oracle for one in plan.not_judged} - {one.oracle for one in plan.cells}


def test_ten_lines(tmp_path: Path) -> None:
    """A whole scenario of ten lines, with the links that the page says follow."""
    assert len(TEN.splitlines()) == 10
    assert [one.name for one in planned(tmp_path, TEN).links] == ["driver>orders", "orders>postgres"]


def test_what_runs_already(tmp_path: Path) -> None:
    """Scenario and link map agree, and `attach` has a fixed listener for each link."""
    plan = planned(tmp_path, RUNNING, LINKS)
    assert attached_links(str(tmp_path / "links.yaml")) == plan.links
    assert {one.name: one.listen for one in plan.links}["orders>postgres"] == "127.0.0.1:21102"
    assert "port 21102 instead of 5432, and at 21103 instead of 9000" in TEXT


def test_the_overlay_points_at_the_link() -> None:
    """It changes the one variable that named the database, to the listener of that link; nothing else of the service."""
    (orders, db) = read_compose(COMPOSE)
    assert orders.calls == {"db": ("DATABASE_URL",)}
    changed = yaml.safe_load(OVERLAY)["services"]
    original = yaml.safe_load(COMPOSE)["services"]
    assert set(changed) == {"orders"}
    link = yaml.safe_load(LINUX_LINKS)["links"]["orders>postgres"]
    port = link["listen"].rpartition(":")[2]
    assert changed["orders"]["environment"]["DATABASE_URL"] == original["orders"]["environment"][
        "DATABASE_URL"
    ].replace("db:5432", f"host.docker.internal:{port}")
    assert changed["orders"]["extra_hosts"] == ["host.docker.internal:host-gateway"]
    assert link["upstream"] == f"127.0.0.1:{db.published[0].outer}"


def test_a_listener_for_containers_must_be_allowed(tmp_path: Path) -> None:
    """The address of this machine is refused without `allow_hosts`, and fine with it."""
    with pytest.raises(UsageError, match=re.escape("172.17.0.1")):
        planned(tmp_path, RUNNING, LINUX_LINKS)
    assert planned(tmp_path, f"{RUNNING}allow_hosts: [172.17.0.1]\n", LINUX_LINKS).cells


def test_attach_as_shown_for_containers(tmp_path: Path) -> None:
    """Its links are refused without the option that the page shows, and taken with it."""
    (tmp_path / "links.yaml").write_text(LINUX_LINKS)
    (line,) = re.findall(r"^chaos-drill attach (links\.yaml --allow-host .*)$", TEXT, re.MULTILINE)
    with pytest.raises(UsageError, match=re.escape("say --allow-host 172.17.0.1")):
        attached_links(str(tmp_path / "links.yaml"))
    parser = argparse.ArgumentParser()
    attach.add_arguments(parser)
    options = parser.parse_args(line.split())
    assert len(attached_links(str(tmp_path / options.links), allow_hosts=options.allow_host)) == 2


def test_init_finds_the_same_links_in_the_compose_file(tmp_path: Path) -> None:
    """By name, protocol and where they lead."""
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    found = load_plan(str(begin_drill(tmp_path, proc=tmp_path).scenario)).links
    page = planned(tmp_path, f"{RUNNING}allow_hosts: [172.17.0.1]\n", LINUX_LINKS).links
    assert [msgspec.structs.replace(one, listen=None) for one in found] == [
        msgspec.structs.replace(one, listen=None) for one in page
    ]


BY_LINE = {
    "exactly-once": [
        ("GET /orders}", 'POST /orders, json: {id: "{op_id}"}, effects: [orders]}'),
        ("timeline:", "effects: {orders: {sql: select id from orders}}\ntimeline:"),
    ],
    "retry-bound": [("calls:", "traced: true, calls:"), ("{postgres: DATABASE_URL}", "{payments: PAY, postgres: D}"),
                    ("  postgres: local", "  postgres: local\n  upstreams: {payments: 127.0.0.1:9000}")],
    "isolation": [("{look: {request: GET /orders}}", "{look: {request: GET /orders}, ping: {request: GET /, uses: []}}")],
}  # fmt: skip


@pytest.mark.parametrize("oracle", BY_LINE)
def test_each_line_enables_what_the_table_says(oracle: str, tmp_path: Path) -> None:
    """Not judged on the ten lines, judged with the line of the table."""
    scenario = TEN.replace("rate: 5/s", "rate: 30/s")
    assert oracle in not_judged(tmp_path, scenario)
    for old, new in BY_LINE[oracle]:
        assert old in scenario
        scenario = scenario.replace(old, new)
    assert oracle not in not_judged(tmp_path, scenario)


def test_the_table_names_all_that_is_not_judged(tmp_path: Path) -> None:
    """Every oracle without a cell on the ten lines has its row."""
    table = TEXT.partition("| not judged, or hardly |")[2].partition("\n\n")[0]
    rows = {name for line in table.splitlines() for name in line.split("|")[1].split("`") if line.startswith("| ")}
    assert not_judged(tmp_path, TEN) <= rows


def test_what_init_looks_at_is_on_the_page() -> None:
    """Every compose file's name, and the ports that it takes for something."""
    assert all(f"`{name}`" in TEXT for name in COMPOSE_FILES)
    assert {8000, 8080, 3000, 5432, 4222} <= KNOWN_PORTS


def test_effects_as_shown(tmp_path: Path) -> None:
    """Both kinds, and what must be finished before they are counted."""
    scenario = TEN.replace("GET /orders}", "POST /orders, effects: [orders, events]}").replace(
        "timeline:", f"{EFFECTS}timeline:"
    )
    ledger = planned(tmp_path, scenario.replace("postgres: local", "postgres: local\n  nats: local")).ledger
    assert [one.name for one in ledger.effects] == ["orders", "events"]
    assert [one.about for one in ledger.effects] == ["orders row", "events message"]
    assert [one.name for one in ledger.unfinished] == ["outbox"]


def test_the_plan_tells_the_same_lines(tmp_path: Path) -> None:
    """For a system of one's own: in the scenario where links follow from it, in the link map where there is one."""
    lines = {one.cell.oracle: one.enable for one in planned(tmp_path, TEN).not_judged}
    assert lines["exactly-once"].endswith("workloads: http: operations: look: effects: [rows]")
    assert "over HTTP or NATS" in lines["retry-bound"]
    calls = TEN.replace("{postgres: DATABASE_URL}", "{payments: PAY, postgres: D}").replace(
        "  postgres: local", "  postgres: local\n  upstreams: {payments: 127.0.0.1:9000}"
    )
    lines = {one.cell.oracle: one.enable for one in planned(tmp_path, calls).not_judged}
    assert lines["retry-bound"] == "system.services: orders: traced: true"
    lines = {one.cell.oracle: one.enable for one in planned(tmp_path, RUNNING, LINKS).not_judged}
    assert lines["retry-bound"] == "link map: orders>payments: {traced: true}"
