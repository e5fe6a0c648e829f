"""`chaos-drill attach`: keep a fault proxy up, with fixed listeners, for a system that runs already."""

from __future__ import annotations

import argparse
from collections.abc import Callable

_EXAMPLES = """examples:
  chaos-drill attach links.yaml
      every link of a link map
  chaos-drill attach drill.yaml --ports 21100
      a scenario's links; those without `listen` get 21100, 21101, ...
  chaos-drill run drill.yaml --proxy http://127.0.0.1:8474
      meanwhile, in another terminal, as often as you like

Point the callers at the links once; runs come and go. Without a run the links
pass everything on untouched. Ctrl-C ends the proxy, and with it the
connections that go through it.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `attach`."""
    parser.epilog = _EXAMPLES
    parser.add_argument("links", metavar="FILE", help="a link map, or a scenario whose links lead to what runs already")
    parser.add_argument("--host", default="127.0.0.1", help="where the proxy's API listens (default: 127.0.0.1)")
    parser.add_argument("--port", type=_port(0), default=8474, help="its port (default: 8474; 0: any free one)")
    parser.add_argument(
        "--ports",
        type=_port(1),
        metavar="FIRST",
        help="links without `listen` get this port of loopback, and the next ones",
    )
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="HOST", help="a host beyond this machine that links may lead to"
    )  # fmt: skip


def _port(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdecimal() or not least <= int(text[:6]) <= 65535:
            raise argparse.ArgumentTypeError(f"{text!r} is no port: write {least} to 65535")
        return int(text)

    return read


def run(args: argparse.Namespace) -> int:
    """Serve until a signal. Returns the proxy's exit code."""
    import sys
    from contextlib import ExitStack, suppress

    from chaos.engine import attached_links, proxy_config, refuse_taken, written_config
    from chaos.proxy.main import main as serve
    from chaos.reports import render_links
    from chaos.system import reserve_port

    links = attached_links(args.links, first_port=args.ports, allow_hosts=args.allow_host)
    refuse_taken(links, args.links, api=f"{args.host}:{args.port}")
    with ExitStack() as stack:
        path = stack.enter_context(written_config(proxy_config(links)))
        port = args.port
        with suppress(OSError):  # an address that cannot be had is told by who is to serve there
            if port == 0:  # chosen here, so that the commands shown have it
                hold = stack.enter_context(reserve_port(args.host))
                port = hold.address.port
                hold.hand_over()
        render_links(links, api=f"{args.host}:{port}", target=args.links, file=sys.stderr)
        return serve(["-host", args.host, "-port", str(port), "-config", str(path)])
