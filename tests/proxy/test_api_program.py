"""The proxy as a program: flags in both spellings, config file, readiness, signals, the parent's end; and existing clients."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import httpx
import pytest

from chaos.errors import UsageError
from chaos.links import connect_links, probe_connect
from chaos.proxy.config import read_page
from chaos.proxy.flags import Flags, parse_flags
from chaos.testing.server import running_proxy

WITHIN_S = 20.0


@pytest.mark.parametrize(
    ("argv", "flags"),
    [
        ([], Flags()),
        (["-host", "0.0.0.0", "-port", "1"], Flags(host="0.0.0.0", port=1)),
        (["--host=h", "--port=2", "-config=c.json"], Flags(host="h", port=2, config="c.json")),
        (
            ["-seed", "-7", "-strict", "-proxy-metrics=true", "-runtime-metrics=0"],
            Flags(seed=-7, strict=True, proxy_metrics=True),
        ),
        (["-version"], Flags(version=True)),
        (["--help"], Flags(help=True)),
        (["-ready-fd", "3", "-parent-watch"], Flags(ready_fd=3, parent_watch=True)),
    ],
)
def test_flags_in_gos_spellings(argv: list[str], flags: Flags) -> None:
    """One dash or two, a space or an equals sign; switches alone or with a value."""
    assert parse_flags(argv) == flags


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["-nope"], "flag provided but not defined: -nope"),
        (["-ready_fd=3"], "flag provided but not defined: -ready_fd"),
        (["-port"], "flag needs an argument: -port"),
        (["-port", "x"], "invalid value 'x' for flag -port"),
        (["-strict=maybe"], "invalid boolean value 'maybe' for -strict"),
        (["stray"], "unexpected argument 'stray'"),
        (["-"], "unexpected argument '-'"),
    ],
)
def test_flags_that_are_wrong_say_how(argv: list[str], text: str) -> None:
    """A wrong command line is a usage error with the flag's name."""
    with pytest.raises(UsageError, match=text):
        parse_flags(argv)


@asynccontextmanager
async def program(*argv: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """The process and its API's port; killed if the test leaves it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "chaos.proxy", "-host", "127.0.0.1", "-port", "0", *argv,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "LOG_LEVEL": "info"},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        with anyio.fail_after(WITHIN_S):
            told = json.loads(await process.stdout.readline())
        assert told["msg"] == f"listening on 127.0.0.1:{told['port']}"
        yield process, told["port"]
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_it_at_once_and_well(signum: signal.Signals) -> None:
    """Exit code 0 even with a connection open and a subscriber of the wire log."""
    async with program() as (process, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /chaos/wire HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await writer.drain()
        process.send_signal(signum)
        with anyio.fail_after(WITHIN_S):
            assert await process.wait() == 0
        writer.close()


async def test_it_ends_with_its_parent() -> None:
    """With -parent-watch the end of stdin is the end of the program; what comes before it is ignored."""
    async with program("-parent-watch") as (process, port):
        assert process.stdin is not None
        process.stdin.write(b"noise\n")
        await process.stdin.drain()
        assert await probe_connect(f"127.0.0.1:{port}") == "accepted"
        process.stdin.close()
        with anyio.fail_after(WITHIN_S):
            assert await process.wait() == 0


async def test_a_config_file_is_populated_before_it_is_ready(tmp_path: Path) -> None:
    """Proxies of the file are up when the address is told."""
    config = config_file(tmp_path, "one", "two")
    async with program("-config", str(config)) as (_, port):
        assert await names(port) == ["one", "two"]


def config_file(folder: Path, *proxies: str) -> Path:
    """A file of proxies; one called `bad` cannot listen."""
    config = folder / "toxiproxy.json"
    listens = {"bad": "garbage"}
    entries = [
        {"name": name, "listen": listens.get(name, "127.0.0.1:0"), "upstream": "127.0.0.1:1"} for name in proxies
    ]
    config.write_text(json.dumps(entries))
    return config


async def names(port: int) -> list[str]:
    """Names of the proxies of the server on that port."""
    async with httpx.AsyncClient(trust_env=False, timeout=WITHIN_S) as client:
        return list((await client.get(f"http://127.0.0.1:{port}/proxies")).json())


@pytest.mark.parametrize(
    ("switch", "up"), [("-strict", ["one"]), ("-lenient", ["one", "three"])], ids=["strict", "lenient"]
)
async def test_a_bad_config_can_be_started_in_part(tmp_path: Path, switch: str, up: list[str]) -> None:
    """As Toxiproxy does it up to the first bad address, or whatever is good; what is wrong is logged with its place."""
    config = config_file(tmp_path, "one", "bad", "three")
    async with program("-config", str(config), switch) as (process, port):
        assert await names(port) == up
        assert process.stderr is not None
        logged = (await process.stderr.readline()).decode()
        assert f"{config}:1:" in logged
        assert "address garbage: missing port in address" in logged
    async with program("-config", "/no/such/file.json", switch) as (_, port):
        assert await names(port) == []


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ('[{"name": "a",\n  "upstream": 7}]', 2, ":2:15: json: cannot unmarshal number"),
        ('[{"name": "a", "upstream": "u:1", "listen": "garbage"}]', 5, ":1:45: listen tcp: address garbage: missing port"),
        (None, 2, ": cannot be read: No such file or directory"),
    ],
    ids=["content", "address", "missing"],
)  # fmt: skip
async def test_a_bad_config_starts_nothing(tmp_path: Path, text: str | None, code: int, line: str) -> None:
    """The first line is the problem and its place, the last what to do; no address is told."""
    config = tmp_path / "c.json"
    if text is not None:
        config.write_text(text)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "chaos.proxy", "-port", "0", "-config", str(config),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    with anyio.fail_after(WITHIN_S):
        out, errors = await process.communicate()
    first, last = errors.decode().splitlines()
    assert (process.returncode, out) == (code, b"")
    assert first.startswith(f"{config}{line}")
    assert "-lenient" in last


async def test_sighup_reloads_the_config(tmp_path: Path) -> None:
    """What changed in the file changes, a file that is bad changes nothing, and the log says which it was."""
    config = config_file(tmp_path, "one")
    async with program("-config", str(config)) as (process, port):
        config_file(tmp_path, "one", "two")
        assert await logged_after_hangup(process, "reloaded:") == "1 created, 0 changed, 0 removed, 1 unchanged"
        assert await names(port) == ["one", "two"]
        config.write_text("[")
        assert "1:2: not JSON" in await logged_after_hangup(process, "nothing changed:")
        assert await names(port) == ["one", "two"]
    assert process.returncode == -signal.SIGKILL


async def logged_after_hangup(process: asyncio.subprocess.Process, words: str) -> str:
    """Send SIGHUP; what stands in the log behind those words."""
    process.send_signal(signal.SIGHUP)
    assert process.stderr is not None
    with anyio.fail_after(WITHIN_S):
        while words not in (line := (await process.stderr.readline()).decode()):
            assert line
    return line.partition(words)[2].strip()


async def test_an_address_that_is_taken_is_an_error_of_the_environment() -> None:
    """Exit code 5 and a line that says which flag to change."""
    async with program() as (_, port):
        second = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "chaos.proxy",
            "-host",
            "127.0.0.1",
            "-port",
            str(port),
            stderr=asyncio.subprocess.PIPE,
        )
        with anyio.fail_after(WITHIN_S):
            _, errors = await second.communicate()
    assert second.returncode == 5
    assert errors.endswith(
        f"cannot listen on 127.0.0.1:{port}: address already in use; choose another -port\n".encode()
    )


@pytest.mark.parametrize("host", ["::1", "[::1]"])
async def test_the_api_can_be_had_over_ipv6(host: str) -> None:
    """With or without brackets; bound to loopback, it checks Host there too."""
    with running_proxy("-host", host) as (told, port):
        assert told == "::1"
        async with connect_links(f"http://[::1]:{port}") as links:
            assert await links.status() == ()
        async with httpx.AsyncClient(trust_env=False, timeout=WITHIN_S) as client:
            refused = await client.get(f"http://[::1]:{port}/proxies", headers={"Host": "evil.example"})
            assert refused.status_code == 403


def test_the_shipped_config_reads_without_a_word() -> None:
    """`proxies/toxiproxy.json` has neither problems nor warnings."""
    path = Path(__file__).parents[2] / "proxies" / "toxiproxy.json"
    page = read_page(path.read_bytes(), path.name)
    assert (page.problems, page.warnings) == ([], [])
    assert len(page.entries) == 14


async def test_readiness_can_be_told_to_a_descriptor() -> None:
    """With -ready-fd the line goes there and stdout stays empty."""
    reading, writing = os.pipe()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "chaos.proxy", "-host", "127.0.0.1", "-port", "0", "-ready-fd", str(writing),
        pass_fds=(writing,), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = json.loads(await anyio.to_thread.run_sync(pipe.readline))
    process.terminate()
    with anyio.fail_after(WITHIN_S):
        out, _ = await process.communicate()
    assert told["pid"] == process.pid
    assert out == b""


async def test_toxiproxy_python_drives_it() -> None:
    """An existing client creates, lists, breaks and heals through the public API alone."""
    toxiproxy = pytest.importorskip("toxiproxy", reason="toxiproxy-python is not installed")
    api = pytest.importorskip("toxiproxy.api")

    def drive(port: int) -> None:
        api.APIConsumer.host, api.APIConsumer.port = "127.0.0.1", port
        server = toxiproxy.Toxiproxy()
        assert server.version() is not None
        assert server.running()
        proxy = server.create(name="db", upstream="127.0.0.1:1", listen="127.0.0.1:0")
        proxy.add_toxic(name="slow", type="latency", attributes={"latency": 5, "jitter": 1})
        assert proxy.get_toxic("slow").attributes == {"latency": 5, "jitter": 1}
        assert list(proxy.toxics()) == ["slow"]
        proxy.disable()
        assert not server.get_proxy("db").enabled
        proxy.enable()
        proxy.destroy_toxic("slow")
        assert proxy.toxics() == {}
        assert server.reset()
        assert server.destroy(proxy)
        assert server.proxies() == {}

    async with program() as (_, port):
        with anyio.fail_after(WITHIN_S):
            await anyio.to_thread.run_sync(drive, port)
