"""`python -m chaos.reference SERVICE`: one service of the reference backend, configured by environment only."""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import os
import signal
import sys

from chaos.reference.settings import SERVICES, Settings, SettingsError

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """Run the named service until it is told to stop; 2 for a call or an environment that cannot be served."""
    if len(arguments) != 1 or arguments[0] not in SERVICES:
        print(f"usage: python -m chaos.reference {{{'|'.join(SERVICES)}}}", file=sys.stderr)
        return 2
    # Until the server takes over, a stop is simply an end: nothing has begun yet.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        settings = Settings.from_environment(arguments[0], os.environ)
        _log_to_stderr(settings.service)
        asyncio.run(_run(settings))
    except SettingsError as error:
        print(f"{arguments[0]}: {error}", file=sys.stderr)
        return 2
    return 0


async def _run(settings: Settings) -> None:
    # Only what this service needs is imported: imports are most of a start.
    module = importlib.import_module(f"chaos.reference.{settings.service}")
    serving = importlib.import_module("chaos.reference.serving")
    gc.freeze()
    await serving.serve(settings, module.open_service)


def _log_to_stderr(service: str) -> None:
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format=f"%(asctime)s {service} %(levelname)s %(name)s: %(message)s"
    )
    for noisy in ("httpx", "httpcore", "uvicorn", "nats", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.ERROR)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
