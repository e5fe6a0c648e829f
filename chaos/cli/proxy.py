"""`chaos-drill proxy`: the fault proxy alone, with the flags of toxiproxy-server; `chaos-drill proxy top` looks at one that runs."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["main"]


def main(words: Sequence[str]) -> int:
    """Run the proxy, or its view. Answers the exit code."""
    if words and words[0] == "top":
        from chaos.cli.proxy_top import main as top

        return top(words[1:])
    from chaos.proxy.main import main as serve

    return serve(words)
