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
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from chaos.errors import ChaosError, NotReadyError, UsageError
from chaos.proxy.address import format_address
from chaos.proxy.api import VERSION, ControlApi, serve_http
from chaos.proxy.config import Config
from chaos.proxy.errors import ConfigAddressError, ConfigError
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
        if isinstance(error, ConfigError | ConfigAddressError):
            # A located problem stands alone on its line, so that editors and terminals can jump to it.
            sys.stderr.write(f"{error}\n")
            error = type(error)("nothing was started; correct the file, or start what is good in it with -lenient")
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
    _on_signals(over.set, signal.SIGINT, signal.SIGTERM)
    if flags.parent_watch:
        _watch_stdin(over)
    options = Options(
        seed=flags.seed,
        strict=flags.strict,
        dial_timeout_ms=float(flags.dial_timeout_ms),
        max_connections=max(0, flags.max_connections),
        own_process=True,
    )
    async with open_registry(options) as registry:
        config = await _load(registry, flags)
        if config is None:
            _on_signals(over.set, signal.SIGHUP)
        else:
            _on_signals(lambda: registry.server.spawn(config.reload_or_log()), signal.SIGHUP)
        api = ControlApi(
            registry,
            loopback_only=_is_loopback(flags.host),
            proxy_metrics=flags.proxy_metrics,
            runtime_metrics=flags.runtime_metrics,
            reload=None if config is None else config.reload,
        )
        try:
            # Like Go, one address for a name: with port 0 each address would get a port of its own.
            listen = "127.0.0.1" if flags.host == "localhost" else flags.host.strip("[]")
            async with serve_http(api, listen, flags.port) as (host, port):
                _tell(flags.ready_fd, host, port)
                await over.wait()
        except OSError as error:
            where, why = f"{flags.host}:{flags.port}", error.strerror or str(error)
            if isinstance(error.errno, int) and error.errno > 0:
                why = os.strerror(error.errno).lower()  # asyncio repeats the address in its own
            raise NotReadyError(f"cannot listen on {where}: {why}; choose another -port") from error


async def _load(registry: Registry, flags: Flags) -> Config | None:
    if not flags.config:
        return None
    config = Config(registry, Path(flags.config))
    if flags.strict:
        await config.load_until_bad()
    elif flags.lenient:
        await config.load_what_is_good()
    else:
        await config.load()
    return config


def _on_signals(call: Callable[[], object], *signums: signal.Signals) -> None:
    loop = asyncio.get_running_loop()
    for signum in signums:
        loop.add_signal_handler(signum, call)


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
