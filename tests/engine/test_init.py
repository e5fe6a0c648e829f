"""`init` writes a drill that is valid at once, whatever it finds, and never over a file."""

from __future__ import annotations

import re
import shlex
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.cli import main
from chaos.engine import attached_links, begin_drill, load_plan
from chaos.engine.init_hints import Hints, find_hints
from chaos.engine.init_sketch import sketch
from chaos.engine.init_text import link_map_text, scenario_text
from chaos.errors import ScenarioError, UsageError
from chaos.model.plan import Plan

SHOP = """
services:
  api:
    build: .
    ports: ["8000:8000"]
    depends_on: [db, broker, cache]
    environment: {DATABASE_URL: "postgres://app:hunter22@db/app"}
  worker: {build: ., depends_on: [broker, db]}
  db: {image: "postgres:17", ports: ["127.0.0.1:5433:5432"], environment: {POSTGRES_PASSWORD: hunter22}}
  broker: {image: nats, ports: ["4222:4222"]}
  cache: {image: redis}
"""
ENV = "POSTGRES_USER=app\nPOSTGRES_PASSWORD=hunter22\nPOSTGRES_DB=shop\n"


def begun(folder: Path, *, compose: str = "", env: str = "") -> tuple[Plan, str]:
    """The plan of what `init` writes for these files, and the text of all it wrote."""
    if compose:
        (folder / "compose.yaml").write_text(compose, encoding="utf-8", errors="surrogatepass")
    if env:
        (folder / ".env").write_text(env)
    written = begin_drill(folder, proc=folder)
    text = written.scenario.read_text()
    if written.links:
        assert len(attached_links(str(written.links))) == len(attached_links(str(written.scenario))) > 0
        text += written.links.read_text()
    return load_plan(str(written.scenario)), text


def test_a_compose_file_becomes_upstreams_and_links(tmp_path: Path) -> None:
    """Its services by name, its stores by kind, a fault behind the service that the driver calls."""
    plan, text = begun(tmp_path, compose=SHOP, env=ENV)
    own = plan.scenario.own
    assert own is not None
    assert {name: one.address for name, one in own.upstreams.items()} == {"api": "127.0.0.1:8000"}
    assert {one.name: one.upstream for one in plan.links} == {
        "driver>api": "127.0.0.1:8000",
        "api>postgres": "127.0.0.1:5433",
        "api>nats": "127.0.0.1:4222",
        "worker>nats": "127.0.0.1:4222",
        "worker>postgres": "127.0.0.1:5433",
    }
    assert [one.links for one in plan.faults] == [("api>postgres",)]
    assert len({one.listen for one in plan.links}) == 5
    assert "api: DATABASE_URL to host.docker.internal:21102 instead of db:5432" in text
    assert "chaos-drill attach links.yaml --allow-host 172.17.0.1" in text
    assert "cache publishes no port" in text
    assert "${POSTGRES_USER}:${POSTGRES_PASSWORD}@127.0.0.1:5433/${POSTGRES_DB}" in text
    assert "hunter22" not in text


def test_open_ports_become_upstreams(tmp_path: Path) -> None:
    """Without a compose file: who listens at 8000 is the application, and it most likely calls who listens at 5432."""
    (tmp_path / "tcp").write_text("head\n" + "".join(
        f" {at}: 0100007F:{port:04X} 00000000:0000 0A\n" for at, port in enumerate((8000, 5432, 21102, 40000))
    ))  # fmt: skip
    plan, text = begun(tmp_path, env="DATABASE_URL=postgres://app:hunter22@localhost/app\n")
    assert [(one.name, one.listen, one.upstream) for one in plan.links] == [
        ("driver>app", "127.0.0.1:21101", "127.0.0.1:8000"),
        ("app>postgres", "127.0.0.1:21103", "127.0.0.1:5432"),
    ]
    assert "app: DATABASE_URL to 127.0.0.1:21103" in text
    assert "hunter22" not in text


@pytest.mark.parametrize(
    ("compose", "env", "calls"),
    [
        ("", "", {"postgres": "DATABASE_URL"}),
        ("", "NATS_URL=x\n", {"nats": "NATS_URL"}),
        ("", "DB_DSN=x\nNATS_SERVERS=y\n", {"postgres": "DB_DSN", "nats": "NATS_SERVERS"}),
        ("services: {bus: {image: nats, ports: ['4222:4222']}}", "", {"nats": "NATS_URL"}),
    ],
)
def test_without_an_application_the_run_starts_one(
    tmp_path: Path, compose: str, env: str, calls: dict[str, str]
) -> None:
    """A service to be filled in, with stores from their wheels; links follow, so there is no link map."""
    plan, _ = begun(tmp_path, compose=compose, env=env)
    assert plan.scenario.own is not None
    (service,) = plan.scenario.own.services
    assert {callee: one.url for callee, one in service.calls.items()} == calls
    assert plan.scenario.own.stores == dict.fromkeys(calls, "local")
    assert not (tmp_path / "links.yaml").exists()


def test_what_is_switched_off_can_be_switched_on(tmp_path: Path) -> None:
    """Without the `#` of the lines that have no space behind it both files are as valid as before."""
    begun(tmp_path, compose=SHOP, env=ENV)
    for name in ("drill.yaml", "links.yaml"):
        lines = (tmp_path / name).read_text().splitlines()
        switched = [re.sub(r"^( *)#(?=\S)", r"\1", line) for line in lines]
        assert switched != lines
        (tmp_path / name).write_text("\n".join(switched) + "\n")
    plan = load_plan(str(tmp_path / "drill.yaml"))
    assert {one.name for one in plan.links if one.traced} == {"api>nats", "worker>nats"}
    assert len(plan.faults) == 2
    assert plan.scenario.timeline.abort
    assert [one.name for one in plan.ledger.effects] == ["orders"]


def test_no_file_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not the scenario, not the link map, not what a link leads to; nothing else is written then. `--force` replaces."""
    (tmp_path / "compose.yaml").write_text(SHOP)
    (tmp_path / "links.yaml").symlink_to(tmp_path / "elsewhere")
    assert main(["init", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert f"{tmp_path / 'links.yaml'} is there already, and nothing was written" in told
    assert "--force" in told
    assert not (tmp_path / "drill.yaml").exists()
    assert main(["init", str(tmp_path), "--force"]) == 0
    assert not (tmp_path / "elsewhere").exists()
    assert not (tmp_path / "links.yaml").is_symlink()
    assert main(["init", str(tmp_path)]) == 2
    assert "are there already" in capsys.readouterr().err


def test_a_file_of_another_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its link map stands beside it, and it names that one; the commands that come next are told."""
    (tmp_path / "compose.yaml").write_text(SHOP)
    assert main(["init", str(tmp_path / "shop.yaml")]) == 0
    assert load_plan(str(tmp_path / "shop.yaml")).scenario.links.name == "shop-links"
    told = capsys.readouterr().out
    assert "found  compose.yaml (api, worker, db, broker, cache)" in told
    assert f"chaos-drill attach {tmp_path / 'shop-links.yaml'}" in told


@pytest.mark.parametrize(
    ("target", "told"),
    [("gone/drill.yaml", "there is no folder"), ("gone", "there is no folder"), ("drill.txt", "ends in .yaml")],
)
def test_places_that_are_none(tmp_path: Path, target: str, told: str) -> None:
    """Said with what to do."""
    with pytest.raises(UsageError, match=told):
        begin_drill(tmp_path / target, proc=tmp_path)


NAMES = st.one_of(
    st.text(min_size=1, max_size=50),
    st.sampled_from(["driver", "any", "none", "postgres", "nats", "null", "true", "1", "1.5", "a>b", "..", "on", "é", "x" * 80]),
)  # fmt: skip
PORTS = st.one_of(
    st.integers(), st.builds("{}:{}".format, st.integers(0, 70000), st.integers(0, 70000)), st.text(max_size=9)
)
SERVICES = st.fixed_dictionaries(
    {},
    optional={
        "image": st.one_of(
            NAMES, st.sampled_from(["postgres:17", "nats", "redis", "acme/api@sha256:0", "library/mysql"])
        ),
        "build": NAMES,
        "ports": st.one_of(NAMES, st.lists(PORTS, max_size=4)),
        "depends_on": st.one_of(st.lists(NAMES, max_size=4), st.dictionaries(NAMES, NAMES, max_size=3)),
        "environment": st.one_of(st.dictionaries(NAMES, NAMES, max_size=3), st.lists(NAMES, max_size=3)),
    },
)


@settings(max_examples=150)
@given(services=st.dictionaries(NAMES, SERVICES, max_size=8), called=st.data(), env=st.text(max_size=60), name=NAMES)
def test_whatever_is_found_the_files_are_valid(
    services: dict[str, dict[str, object]], called: st.DataObject, env: str, name: str
) -> None:
    """Names of any kind, ports of any kind, loops in who calls whom: both files are read without a problem."""
    for one in services.values():
        if "depends_on" not in one:
            one["depends_on"] = called.draw(st.lists(st.sampled_from(sorted(services)), max_size=4))
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        plan, _ = begun(folder, compose=yaml.safe_dump({"services": services}, allow_unicode=True), env=env)
        drawn = sketch(find_hints(folder, proc=folder), name=name)
        (folder / "named.yaml").write_text(scenario_text(drawn, file="named.yaml", links="map.yaml"))
        (folder / "map.yaml").write_text(link_map_text(drawn, file="map.yaml"))
        assert plan.links == (named := load_plan(str(folder / "named.yaml"))).links
        assert named.faults


@settings(max_examples=100)
@given(
    ports=st.frozensets(st.one_of(st.integers(0, 65535), st.sampled_from([8000, 3000, 5432, 4222, 21101])), max_size=30)
)
def test_ports_of_any_kind(ports: frozenset[int]) -> None:
    """Valid, and no link listens where somebody else does."""
    drawn = sketch(Hints(ports=ports), name="x")
    assert not {one.listen for one in drawn.links} & ports
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        (folder / "d.yaml").write_text(scenario_text(drawn, file="d.yaml", links="m.yaml"))
        if drawn.parts:
            (folder / "m.yaml").write_text(link_map_text(drawn, file="m.yaml"))
        assert load_plan(str(folder / "d.yaml")).cells


@pytest.mark.parametrize("name", ['a"b', "a\\b", "- q", "-q", "\u00e4 \u00f6", "a'b: {c} #d", "$(x)"])
def test_files_of_any_name_are_valid(tmp_path: Path, name: str) -> None:
    """The scenario names its link map, and commands in comments name both so that a shell takes them for one word."""
    (tmp_path / "compose.yaml").write_text(SHOP)
    written = begin_drill(tmp_path / f"{name}.yaml", proc=tmp_path)
    assert written.links is not None
    assert len(load_plan(str(written.scenario)).links) == len(attached_links(str(written.links))) > 0
    (command,) = re.findall(r"chaos-drill plan (.*?)    ", written.scenario.read_text())
    (word,) = shlex.split(command)
    assert (tmp_path / word).samefile(written.scenario)
    assert not word.startswith("-")


@pytest.mark.parametrize("name", ["x\ny", "x\ry", "x\x1b[31m", "x\u2028y", "x\udc80"])
def test_a_name_with_control_characters_is_refused(tmp_path: Path, name: str) -> None:
    """It would end the line that it stands in; nothing is written."""
    (tmp_path / "compose.yaml").write_text(SHOP)
    with pytest.raises(UsageError, match="no control characters may: choose another name"):
        begin_drill(tmp_path / f"{name}.yaml", proc=tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["compose.yaml"]


def test_what_cannot_be_read_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake in what is written is told before it is."""
    monkeypatch.setattr("chaos.engine.init.scenario_text", lambda *_, **__: "name: [")
    with pytest.raises(ScenarioError):
        begin_drill(tmp_path, proc=tmp_path)
    assert list(tmp_path.iterdir()) == []
