"""The `toxiproxy` fixture, in a suite of its own as a user would have it; and the adapter behind it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from chaos.errors import ProxyError
from chaos.testing.server import running_proxy
from chaos.testing.toxiproxy import bound_toxiproxy

WITHIN_S = 60

SUITE = """
import socket
import pytest
from toxiproxy.exceptions import NotFound


@pytest.fixture
def upstream():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def connect(proxy):
    host, _, port = proxy.listen.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def test_a_proxy_passes_bytes_and_can_be_cut(toxiproxy, upstream):
    proxy = toxiproxy.create(name="db", upstream="127.0.0.1:%d" % upstream.getsockname()[1])
    with connect(proxy) as client:
        served, _ = upstream.accept()
        with served:
            client.sendall(b"hello")
            assert served.recv(5) == b"hello"
    proxy.add_toxic(name="slow", type="latency", attributes={"latency": 5, "jitter": 1})
    assert proxy.get_toxic("slow").attributes == {"latency": 5, "jitter": 1}
    proxy.disable()
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)


def test_each_test_begins_without_proxies(toxiproxy):
    assert toxiproxy.proxies() == {}
    with pytest.raises(NotFound):
        toxiproxy.create(name="x", upstream="127.0.0.1:1").destroy_toxic("none")
"""


def suite(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Run a test file with the plugin loaded by name, as the installed entry point would load it."""
    (folder / "test_suite.py").write_text(text)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "chaos.pytest_plugin", "-p", "no:cacheprovider", "-p", "no:asyncio", "-W", "error"],
        cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=WITHIN_S,
    )  # fmt: skip


def test_a_suite_of_toxiproxy_python_runs_on_ours(tmp_path: Path) -> None:
    """Existing synchronous tests ask for `toxiproxy` and get a server that nobody had to start."""
    pytest.importorskip("toxiproxy", reason="toxiproxy-python is not installed")
    done = suite(tmp_path, SUITE)
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_without_the_library_the_failure_says_what_to_install(tmp_path: Path) -> None:
    """Not a skip: a suite that asks for a fault proxy and does not get one has tested nothing."""
    text = "import sys\nsys.modules['toxiproxy'] = None\n\ndef test_it(toxiproxy):\n    pass\n"
    done = suite(tmp_path, text)
    assert "pip install 'chaos-drill[toxiproxy]'" in done.stdout
    assert "1 error" in done.stdout


def test_the_plugin_costs_nothing_until_it_is_used() -> None:
    """It is loaded in every pytest run of whoever has it installed."""
    heavy = ("httpx", "requests", "toxiproxy", "asyncio", "msgspec", "chaos.proxy")
    code = f"import pytest, sys; before = set(sys.modules); import chaos.pytest_plugin; print([n for n in {heavy} if n in sys.modules and n not in before])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=WITHIN_S)
    assert done.stdout.strip() == "[]"


def test_the_entry_point_has_the_modules_own_name() -> None:
    """Any other name and pytest registers an installed checkout twice, which it refuses."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"chaos.pytest_plugin": "chaos.pytest_plugin"}


def test_failures_of_the_server_are_errors_and_the_library_is_left_as_it_was() -> None:
    """By itself it takes a 500 for success and keeps its address on a class for whoever comes next."""
    api = pytest.importorskip("toxiproxy.api", reason="toxiproxy-python is not installed")
    before = api.APIConsumer.host, api.APIConsumer.port, api.requests, api.validate_response
    with running_proxy() as (host, port):
        with bound_toxiproxy(host, port) as client:
            taken = client.create(name="a", upstream="127.0.0.1:1")
            with pytest.raises(ProxyError, match=r"500 .*address already in use"):
                client.create(name="b", upstream="127.0.0.1:1", listen=taken.listen)
        with bound_toxiproxy(host, port) as client:
            assert client.proxies() == {}
    assert (api.APIConsumer.host, api.APIConsumer.port, api.requests, api.validate_response) == before


def test_a_proxy_that_cannot_start_says_so() -> None:
    """And nothing is left running."""
    with pytest.raises(ProxyError, match="ended before it was ready"), running_proxy("-no-such-flag"):
        raise AssertionError("not reached")
