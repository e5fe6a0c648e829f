"""`chaos-drill attach`: links with fixed listeners for a system that runs already."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from chaos.cli import main
from chaos.engine import attached_links
from chaos.errors import UsageError
from chaos.system import reserve_port
from tests.documents import ROOT
from tests.links.servers import echo, round_trip


async def test_links_pass_everything_on_until_they_are_ended(tmp_path: Path) -> None:
    """As a program: a table of who is to be pointed where, bytes through the link, the protocol it frames, and 0 after Ctrl-C."""
    with reserve_port() as hold:
        listen = str(hold.address)
    async with echo() as upstream:
        map_ = tmp_path / "links.yaml"
        map_.write_text(f"links: {{app>store: {{protocol: nats, listen: '{listen}', upstream: '{upstream}'}}}}\n")
        process = subprocess.Popen(
            [sys.executable, "-m", "chaos", "attach", str(map_), "--port", "0"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            where = json.loads(process.stdout.readline())
            assert await round_trip(listen, b"hello") == b"hello"
            with urllib.request.urlopen(f"http://127.0.0.1:{where['port']}/proxies", timeout=5) as answer:
                (link,) = json.load(answer).values()
            assert (link["name"], link["listen"], link["upstream"], link["protocol"]) == (
                "app>store",
                listen,
                upstream,
                "nats",
            )
        finally:
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=20)
    assert process.returncode == 0
    assert told.splitlines()[1].split() == ["app", "store", listen, upstream, "nats"]
    assert f"chaos-drill run DRILL.yaml --proxy http://127.0.0.1:{where['port']}\n" in told


def test_a_scenario_has_links_of_its_own(tmp_path: Path) -> None:
    """Those that follow from it, with listeners from a first port on; what the run would start has no address yet."""
    scenario = tmp_path / "drill.yaml"
    text = (ROOT / "docs/examples/prices/flawed.yaml").read_text()
    scenario.write_text(text)
    with pytest.raises(UsageError, match="nobody says where prices listens"):
        attached_links(str(scenario), first_port=21100)
    scenario.write_text(
        "name: d\nsystem: {upstreams: {app: 127.0.0.1:8000}}\n"
        "workloads: [{kind: http, to: app, rate: 5/s, operations: {look: {request: GET /}}}]\n"
        "timeline: {faults: [{fault: refuse, on: driver>app, for: 4s}]}\n"
    )
    (link,) = attached_links(str(scenario), first_port=21100)
    assert (link.name, link.listen, link.upstream) == ("driver>app", "127.0.0.1:21100", "127.0.0.1:8000")


@pytest.mark.parametrize(
    ("edge", "told"),
    [
        ("{listen: '127.0.0.1:21101'}", "give a>b an upstream"),
        ("{upstream: '127.0.0.1:9'}", "say --ports 21100"),
        ("{listen: '127.0.0.1:0', upstream: '127.0.0.1:9'}", "no fixed listener"),
    ],
)
def test_a_link_without_both_ends_is_refused(
    edge: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what to write, and nothing is started."""
    (tmp_path / "links.yaml").write_text(f"links: {{a>b: {edge}}}\n")
    assert main(["attach", str(tmp_path / "links.yaml")]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["--ports", "70000"],
        ["--ports", "-5"],
        ["--ports", "0"],
        ["--ports", "x"],
        ["--port", "99999"],
        ["--port", "-1"],
    ],
)
def test_what_is_no_port_is_told(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """By the option that it was given to, as a matter of usage."""
    with pytest.raises(SystemExit) as left:
        main(["attach", "links.yaml", *words])
    assert left.value.code == 2
    assert f"argument {words[0]}: '{words[1]}' is no port: write" in capsys.readouterr().err


def test_links_beyond_the_last_port_are_told(tmp_path: Path) -> None:
    """Two links do not fit into one port."""
    map_ = tmp_path / "links.yaml"
    map_.write_text("links: {a>b: {upstream: '127.0.0.1:9'}, b>c: {upstream: '127.0.0.1:9'}}")
    with pytest.raises(UsageError, match="from 65535 on there are not enough ports"):
        attached_links(str(map_), first_port=65535)


def test_taken_listeners_are_named_by_their_links(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All of them, by name and address and with what to do, not by a file that nobody wrote; no table of links precedes it."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ports = [taken.getsockname()[1] for taken in (one, other)]
        map_ = tmp_path / "links.yaml"
        edges = ", ".join(
            f"app>{name}: {{listen: '127.0.0.1:{port}', upstream: '127.0.0.1:9'}}"
            for name, port in zip(("store", "queue"), ports, strict=True)
        )
        map_.write_text(f"links: {{{edges}}}\n")
        assert main(["attach", str(map_), "--port", str(ports[0])]) == 5
    told = capsys.readouterr().err
    assert f"the proxy's API (--port) on 127.0.0.1:{ports[0]} (address already in use)" in told
    assert f"app>store on 127.0.0.1:{ports[0]} (address already in use)" in told
    assert f"app>queue on 127.0.0.1:{ports[1]} (address already in use)" in told
    assert "another `chaos-drill attach`" in told
    assert "point it at" not in told
