"""`chaos-drill proxy top`: links, toxics and live rates of a proxy that runs, repainted in place; one picture where that cannot be."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence

from chaos.cli.proxy_view import Sample, paint
from chaos.errors import ChaosError, ProxyError, UsageError
from chaos.links import LinkControl, UnsupportedError, connect_links
from chaos.reports import Screen, screen_of

__all__ = ["main"]

_EXAMPLES = """examples:
  chaos-drill proxy top
      the proxy at $TOXIPROXY_URL, else 127.0.0.1:8474; Ctrl-C ends
  chaos-drill proxy top --url http://127.0.0.1:9000 --interval 0.5
  chaos-drill proxy top --once
      one picture, also what a pipe or a file gets
"""


def main(words: Sequence[str]) -> int:
    """Show until interrupted. Exit code 0, 2 for a wrong command line, 5 when there is no proxy of ours."""
    args = _parser().parse_args(list(words))
    try:
        if not args.interval >= 0.1:
            raise UsageError(f"--interval {args.interval:g} is too short; give 0.1 seconds or more")
        asyncio.run(_show(args.url, args.interval, once=args.once))
    except KeyboardInterrupt:
        return 0
    except ChaosError as error:
        print(f"chaos-drill: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 5
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="chaos-drill proxy top",
        description="Look at a fault proxy that runs: links, toxics and live rates.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    url = os.environ.get("TOXIPROXY_URL") or "http://127.0.0.1:8474"
    parser.add_argument("--url", default=url, help="address of the proxy's API (default %(default)s)")
    parser.add_argument("--interval", type=float, default=1.0, metavar="S", help="seconds between pictures (default 1)")
    parser.add_argument("--once", action="store_true", help="one picture, then end")
    return parser


async def _show(url: str, interval_s: float, *, once: bool) -> None:
    screen = screen_of(sys.stdout)
    async with connect_links(url if "://" in url else f"http://{url}") as control:
        first = await _sample(control)
        if once or not screen.terminal:
            # Rates need two looks.
            await asyncio.sleep(interval_s)
            sys.stdout.write(screen.text(*paint(await _sample(control), first, screen, url)))
            return
        await _repaint(control, screen, interval_s, url, first)


async def _repaint(control: LinkControl, screen: Screen, interval_s: float, url: str, first: Sample) -> None:
    from rich.console import Group
    from rich.live import Live

    before, now, trouble = first, first, ""
    with Live(console=screen.console(sys.stdout), screen=True, auto_refresh=False, redirect_stderr=False) as live:
        while True:
            screen = screen_of(sys.stdout)  # windows change their size
            live.console.width = screen.width
            live.update(Group(*paint(now, before, screen, url, trouble)), refresh=True)
            await asyncio.sleep(interval_s)
            try:
                before, now, trouble = now, await _sample(control), ""
            except ProxyError as error:
                trouble = str(error)  # it may come back; the last picture stays


async def _sample(control: LinkControl) -> Sample:
    try:
        return Sample(t_ns=await control.now_ns(), links=await control.status())
    except UnsupportedError as error:
        raise ProxyError(f"top needs live counters; {error}") from error
