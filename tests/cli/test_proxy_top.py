"""`chaos-drill proxy top`: the picture as data, and the command against a proxy that runs."""

from __future__ import annotations

import http.client
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.cli.proxy import main
from chaos.cli.proxy_view import Sample, paint
from chaos.links import LinkStatus, ToxicStatus
from chaos.reports import Screen
from chaos.testing.server import running_proxy

SECOND_NS = 1_000_000_000
SCREEN = Screen()


def toxic(**members: Any) -> ToxicStatus:
    """An active toxic."""
    given: dict[str, Any] = {
        "name": "slow", "type": "latency", "stream": "downstream", "toxicity": 1.0, "fault": "slow", "active": True,
        "attributes": {"latency": 30, "jitter": 0}, "since_ns": 0, "hits": 5,
    }  # fmt: skip
    return ToxicStatus(**{**given, **members})


def link(name: str = "a>b", up: int = 0, down: int = 0, **members: Any) -> LinkStatus:
    """An open link that has passed on so many bytes."""
    given: dict[str, Any] = {
        "name": name, "listen": "127.0.0.1:1", "upstream": "127.0.0.1:2", "enabled": True, "connections": 1,
        "connections_total": 2, "received_bytes": {}, "sent_bytes": {"upstream": up, "downstream": down},
    }  # fmt: skip
    return LinkStatus(**{**given, **members})


def picture(now: list[LinkStatus], before: list[LinkStatus], trouble: str = "", screen: Screen = SCREEN) -> list[str]:
    """Lines at two seconds after nought and at nought."""
    last = Sample(t_ns=2 * SECOND_NS, links=tuple(now))
    text = screen.text(*paint(last, Sample(t_ns=0, links=tuple(before)), screen, "127.0.0.1:8474", trouble))
    return text.splitlines()


def test_rates_are_between_the_samples() -> None:
    """Bytes passed on a second, either way; a link made anew counts from nothing."""
    title, _, header, first, second = picture(
        [link("a>b", 3000, 2_000_500), link("c>d", 10, 0)], [link("a>b", 1000, 500), link("c>d", 5000, 0)]
    )
    assert title == "fault proxy 127.0.0.1:8474: 2 links, 2 connections, 0 toxics"
    assert header.split() == ["link", "state", "conns", "opened", "up/s", "down/s"]
    assert first.split() == ["a>b", "open", "1", "2", "1.0", "kB/s", "1.0", "MB/s"]
    assert second.split() == ["c>d", "open", "1", "2", "5", "B/s", "0"]


def test_links_with_toxics_come_first_and_say_what_they_do() -> None:
    """Hits with their rate, when it ends or begins, then what it is."""
    toxics = (
        toxic(toxicity=0.25),
        toxic(name="gone", type="refuse", attributes={}, hits=1, for_ms=5000.0),
        toxic(name="later", active=False, since_ns=None, at_ns=5 * SECOND_NS, hits=0),
    )
    before = [link("a>b"), link("z>z", toxics=(toxic(hits=1),))]
    lines = picture([link("a>b"), link("z>z", toxics=toxics), link("c>d", enabled=False)], before)
    assert [line.split()[:2] for line in lines[3:4]] == [["z>z", "refusing"]]
    assert lines[4] == "    slow: 5 hits 2/s, on for 2 s; latency downstream latency=30 toxicity=0.25"
    assert lines[5] == "    gone: 1 hit 0/s, ends in 3.0 s; refuse downstream"
    assert lines[6] == "    later: 0 hits, begins in 3.0 s; latency downstream latency=30"
    assert [line.split()[:2] for line in lines[7:]] == [["a>b", "open"], ["c>d", "disabled"]]


def test_a_proxy_that_is_gone_leaves_its_last_picture() -> None:
    """With a line that says what happened instead of an answer."""
    lines = picture([link()], [link()], "fault proxy at 127.0.0.1:1: GET /chaos/now: refused; is it running?")
    assert lines[1] == "last picture; now refused; is it running?"


@given(name=st.text(max_size=100), width=st.integers(60, 110), count=st.integers(0, 10**15))
def test_no_line_is_wider_than_the_screen(name: str, width: int, count: int) -> None:
    """Whatever names the proxy's clients gave to links and toxics, escapes for terminals among them."""
    status = link(name, count, count, connections_total=count, toxics=(toxic(name=name, hits=count),))
    lines = picture([status], [link(name)], name, Screen(width=width))
    assert all(len(line) <= width for line in lines)
    assert "\x1b" not in "".join(lines)


def test_a_pipe_gets_one_picture(capsys: pytest.CaptureFixture[str]) -> None:
    """Links, toxics and rates of a proxy that runs; then it ends."""
    with running_proxy() as (host, port):
        client = http.client.HTTPConnection(host, port, timeout=20)
        body = {
            "name": "a>b", "listen": "127.0.0.1:0", "upstream": "u:1", "toxics": [{"type": "refuse", "name": "gone"}],
        }  # fmt: skip
        client.request("POST", "/proxies?toxics=1", json.dumps(body))
        assert client.getresponse().read()
        client.close()
        assert main(["top", "--url", f"{host}:{port}", "--interval", "0.1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[3].split() == ["a>b", "refusing", "0", "0", "0", "0"]
    assert lines[4].startswith("    gone: 0 hits, on for")
    assert lines[4].endswith("refuse downstream")


def test_without_a_proxy_it_says_where_it_looked(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 5; a wrong interval is 2."""
    with running_proxy() as (host, port):
        gone = f"http://{host}:{port}"
    assert main(["top", "--url", gone]) == 5
    assert f"{host}:{port}" in capsys.readouterr().err
    assert main(["top", "--interval", "0"]) == 2
    with pytest.raises(SystemExit) as helped:
        main(["top", "--help"])
    assert helped.value.code == 0
    assert "chaos-drill proxy top --once" in capsys.readouterr().out


def test_other_words_are_the_proxys_own(capsys: pytest.CaptureFixture[str]) -> None:
    """Everything but `top` goes to the server's flags."""
    assert main(["-version"]) == 0
    assert capsys.readouterr().out.startswith("toxiproxy-server version 2.")
