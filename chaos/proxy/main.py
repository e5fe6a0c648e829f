"""The proxy as a program: flags, config file, the control API, signals, and where it listens told to the starter."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import os
import resource
import signal
import stat
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from chaos.errors import ChaosError, NotReadyError, UsageError
from chaos.proxy.address import format_address
from chaos.proxy.api import (
    VERSION,
    BodyError,
    ControlApi,
    check_all,
    decode_populate,
    put_proxy,
    serve_http,
    to_settings,
)
from chaos.proxy.flags import USAGE, Flags, parse_flags
from chaos.proxy.registry import Registry, open_registry
from chaos.proxy.settings import Options

__all__ = ["main", "serve"]

_log = logging.getLogger("chaos.proxy")
_DESCRIPTORS = 65_536
_LEVELS = {"trace": 10, "debug": 10, "info": 20, "warn": 30, "warning": 30, "error": 40, "fatal": 50, "panic": 50}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the proxy until a signal or, with -parent-watch, the end of stdin. Answers the exit code."""
    try:
        flags = parse_flags(sys.argv[1:] if argv is None else argv)
        if flags.help:
            sys.stdout.write(USAGE)
        elif flags.version:
            sys.stdout.write(f"toxiproxy-server version {VERSION}\n")
        else:
            _prepare_process()
            asyncio.run(serve(flags))
    except ChaosError as error:
        sys.stderr.write(f"chaos-drill proxy: {error}\n")
        return 2 if isinstance(error, UsageError) else 5
    return 0


def _prepare_process() -> None:
    level = _LEVELS.get(os.environ.get("LOG_LEVEL", "info").lower(), 20)
    logging.basicConfig(level=level, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    # Two descriptors for a connection: the usual soft limit of 1024 is soon reached. Some systems call their hard limit infinite.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def serve(flags: Flags) -> None:
    """Serve until told to end. Raises NotReadyError if the API's address cannot be had, UsageError for a stdin to watch."""
    over = asyncio.Event()
    _watch_signals(over)
    if flags.parent_watch:
        _watch_stdin(over)
    options = Options(
        seed=flags.seed, strict=flags.strict, dial_timeout_ms=float(flags.dial_timeout_ms), own_process=True
    )
    async with open_registry(options) as registry:
        if flags.config:
            await _load(registry, Path(flags.config))
        api = ControlApi(
            registry,
            loopback_only=_is_loopback(flags.host),
            proxy_metrics=flags.proxy_metrics,
            runtime_metrics=flags.runtime_metrics,
        )
        try:
            # Like Go, one address for a name: with port 0 each address would get a port of its own.
            listen = "127.0.0.1" if flags.host == "localhost" else flags.host.strip("[]")
            async with serve_http(api, listen, flags.port) as (host, port):
                _tell(flags.ready_fd, host, port)
                await over.wait()
        except OSError as error:
            where = f"{flags.host}:{flags.port}"
            raise NotReadyError(f"cannot listen on {where}: {error.strerror or error}; choose another -port") from error


def _watch_signals(over: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, over.set)


def _watch_stdin(over: asyncio.Event) -> None:
    mode = os.fstat(0).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        raise UsageError("-parent-watch needs a pipe on stdin, held open by the starter")
    loop = asyncio.get_running_loop()

    def readable() -> None:
        if not os.read(0, 4096):
            loop.remove_reader(0)
            over.set()

    loop.add_reader(0, readable)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _tell(ready_fd: int | None, host: str, port: int) -> None:
    """One line of JSON, once requests are answered."""
    line = json.dumps(
        {"msg": f"listening on {format_address(host, port)}", "host": host, "port": port, "pid": os.getpid()}
    )
    if ready_fd is None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    else:
        with os.fdopen(ready_fd, "w") as pipe:
            pipe.write(line + "\n")


async def _load(registry: Registry, path: Path) -> None:
    """Start the proxies of a config file. As with 2.12, what is wrong with it is logged and the server starts all the same."""
    try:
        wanted = [to_settings(one) for one in decode_populate(await asyncio.to_thread(path.read_bytes))]
        check_all(wanted)
        for settings in wanted:
            await put_proxy(registry, settings)
    except (OSError, BodyError, ChaosError) as error:
        _log.error("config %s: %s; proxies before it are up, the rest is not", path, error)
        return
    _log.info("config %s: %d proxies", path, len(wanted))
