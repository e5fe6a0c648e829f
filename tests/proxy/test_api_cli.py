"""toxiproxy-cli drives the proxy: every command, with the words that it prints for a server of its own kind."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from chaos.testing.server import running_proxy
from tests.real_toxiproxy import MISSING_CLI, find_real_cli

WITHIN_S = 20

# Commands in order, each with what it prints (ports masked) and its exit code.
SESSION = (
    ("create -l 127.0.0.1:0 -u 127.0.0.1:1 db", "Created new proxy db", 0),
    ("list", "db 127.0.0.1:PORT 127.0.0.1:1 enabled 0", 0),
    ("toxic add -t latency -a latency=100 -a jitter=5 db", "Added downstream latency toxic 'latency_downstream' on proxy 'db'", 0),
    ("toxic add -t bandwidth -n slow -a rate=5 --upstream --toxicity 0.5 db", "Added upstream bandwidth toxic 'slow' on proxy 'db'", 0),
    (
        "inspect db",
        ("slow type=bandwidth stream=upstream toxicity=0.50 attributes=[ rate=5 ]\n"
        "latency_downstream type=latency stream=downstream toxicity=1.00 attributes=[ jitter=5 latency=100 ]"),
        0,
    ),
    ("toxic update -n slow -a rate=7 db", "Updated toxic 'slow' on proxy 'db'", 0),
    ("toxic delete -n slow db", "Removed toxic 'slow' on proxy 'db'", 0),
    ("toggle db", "Proxy db is now disabled", 0),
    ("list", "db 127.0.0.1:PORT 127.0.0.1:1 disabled 1", 0),
    ("toggle db", "Proxy db is now enabled", 0),
    ("delete db", "Deleted proxy db", 0),
    ("inspect db", "Failed to retrieve proxy db: HTTP 404: proxy not found", 1),
    ("create -l garbage -u x y", "listen tcp: address garbage: missing port in address", 1),
)  # fmt: skip


@pytest.fixture(scope="module")
def session() -> list[tuple[str, int]]:
    """What every command printed, and its exit code."""
    cli = find_real_cli()
    if cli is None:
        pytest.skip(MISSING_CLI)
    with running_proxy() as (host, port):
        environment = {**os.environ, "TOXIPROXY_URL": f"http://{host}:{port}"}
        done = [
            subprocess.run(
                [cli, *command.split()], env=environment, capture_output=True, text=True, check=False, timeout=WITHIN_S
            )
            for command, _, _ in SESSION
        ]
    return [(masked(one.stdout + one.stderr), one.returncode) for one in done]


def masked(text: str) -> str:
    """Without colours, tabs and ports of the system's choice."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text).replace("\t", " ")
    return re.sub(r"(?<=127\.0\.0\.1:)\d{4,5}", "PORT", plain)


@pytest.mark.parametrize("number", range(len(SESSION)), ids=[command.split(" -")[0] for command, _, _ in SESSION])
def test_each_command_is_answered(session: list[tuple[str, int]], number: int) -> None:
    """In the order of a session; what an earlier command did, a later one sees."""
    _, words, code = SESSION[number]
    assert words in session[number][0]
    assert session[number][1] == code
