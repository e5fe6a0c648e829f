"""Starting services of any kind and waiting until they are ready."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chaos.errors import NotReadyError
from chaos.system import Children, HttpReady, LogReady, ServiceSpec, TcpReady, make_scratch, open_children, reserve_port
from chaos.system.services import Ready, start_service

HTTP = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    tries = 0
    def do_GET(self):
        type(self).tries += 1
        self.send_response(200 if self.tries > 2 and self.path == "/healthz" else 503)
        self.end_headers()
address = (os.environ["LISTEN_HOST"], int(os.environ["LISTEN_PORT"]))
server = http.server.HTTPServer(address, Handler)
print("serving now", flush=True)
server.serve_forever()
"""


@asynccontextmanager
async def _children(log_dir: Path) -> AsyncIterator[Children]:
    async with open_children(make_scratch("test"), log_dir) as children:
        yield children


@pytest.mark.parametrize(
    "ready",
    [HttpReady(), TcpReady(), LogReady(pattern=r"^serving now$")],
    ids=["http", "tcp", "log"],
)
async def test_service_is_ready(tmp_path: Path, ready: Ready) -> None:
    """A plain HTTP server on a held port is waited for by health check, connect or log line."""
    service = ServiceSpec(name="web", argv=(sys.executable, "-c", HTTP), ready=ready)
    with reserve_port() as hold:
        async with _children(tmp_path) as children:
            env = {"LISTEN_HOST": hold.address.host, "LISTEN_PORT": str(hold.address.port)}
            child = await start_service(children, service, hold, env, tmp_path / "web.log")
            assert child.code is None


async def test_service_that_dies_shows_the_end_of_its_log(tmp_path: Path) -> None:
    """A service that ends before it is ready is reported at once, with exit code, log and last lines."""
    service = ServiceSpec(name="web", argv=(sys.executable, "-c", "raise SystemExit('the disk is full')"))
    with reserve_port() as hold:
        async with _children(tmp_path) as children:
            with pytest.raises(NotReadyError, match=r"(?s)web ended .*exit code 1.*web\.log.*the disk is full"):
                await start_service(children, service, hold, {}, tmp_path / "web.log")


async def test_service_that_is_never_ready(tmp_path: Path) -> None:
    """The deadline ends the wait, and the text says what was waited for."""
    service = ServiceSpec(name="web", argv=("sleep", "600"), ready=HttpReady(path="/up", deadline_s=0.2))
    with reserve_port() as hold:
        async with _children(tmp_path) as children:
            with pytest.raises(NotReadyError, match=r"not ready within 0\.2 s \(GET /up"):
                await start_service(children, service, hold, {}, tmp_path / "web.log")


async def test_log_line_of_an_earlier_start_does_not_count(tmp_path: Path) -> None:
    """Only what was written since this start makes a service ready."""
    log = tmp_path / "web.log"
    log.write_text("serving now\n")
    ready = LogReady(pattern="serving now", deadline_s=0.2)
    service = ServiceSpec(name="web", argv=("sleep", "600"), ready=ready)
    with reserve_port() as hold:
        async with _children(tmp_path) as children:
            with pytest.raises(NotReadyError, match="no line matches"):
                await start_service(children, service, hold, {}, log)
