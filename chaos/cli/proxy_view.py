"""The picture of a proxy: a line for each link, a line for each of its toxics. Pure: two samples in, lines out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from chaos.links import LinkStatus, ToxicStatus
from chaos.model.base import Data
from chaos.reports.screen import Screen
from chaos.reports.text import count_of, shorten

__all__ = ["Sample", "paint"]

_NUMBERS = "{:>8} {:>6} {:>7} {:>10} {:>10}"
_NUMBERS_WIDTH = 46
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


class Sample(Data, frozen=True, kw_only=True):
    """What a proxy said of its links at `t_ns` of its clock."""

    t_ns: int
    links: tuple[LinkStatus, ...]


def paint(now: Sample, before: Sample, screen: Screen, where: str, trouble: str = "") -> Sequence[Text]:
    """Lines no wider than the screen; rates are between the samples. Links with toxics come first, then by name."""
    lines = _lines(now, before, screen, where, trouble)
    return [Text(screen.encodable(line), style=style, no_wrap=True, overflow="ellipsis") for line, style in lines]


def _lines(now: Sample, before: Sample, screen: Screen, where: str, trouble: str) -> Iterator[tuple[str, str]]:
    width = screen.width
    connections = sum(link.connections for link in now.links)
    toxics = sum(len(link.toxics) for link in now.links)
    counts = ", ".join(
        (count_of(len(now.links), "link"), count_of(connections, "connection"), count_of(toxics, "toxic"))
    )
    yield shorten(f"fault proxy {where}: {counts}", width), "bold"
    if trouble:
        yield shorten(f"last picture; now {trouble.split(': ', 2)[-1]}", width), "bold red"
    yield "", ""
    name_width = max(10, width - _NUMBERS_WIDTH - 1)
    header = _NUMBERS.format("state", "conns", "opened", "up/s", "down/s")
    yield f"{'link':<{name_width}} {header}", "dim"
    old = {link.name: link for link in before.links}
    seconds = (now.t_ns - before.t_ns) / 1e9
    for link in sorted(now.links, key=lambda one: (not one.toxics, one.name)):
        yield _link_line(link, old.get(link.name), seconds, name_width), "" if link.enabled else "dim"
        for toxic in link.toxics:
            line = shorten(_toxic_line(toxic, old.get(link.name), seconds, now.t_ns), width - 4)
            yield f"    {line}", "yellow" if toxic.active else "dim yellow"


def _link_line(link: LinkStatus, old: LinkStatus | None, seconds: float, name_width: int) -> str:
    rates = [_rate(link, old, seconds, direction) for direction in ("upstream", "downstream")]
    numbers = _NUMBERS.format(_state(link), link.connections, _count(link.connections_total), *rates)
    return f"{shorten(link.name, name_width):<{name_width}} {numbers}"


def _state(link: LinkStatus) -> str:
    if not link.enabled:
        return "disabled"
    return "refusing" if any(toxic.active and toxic.type == "refuse" for toxic in link.toxics) else "open"


def _rate(link: LinkStatus, old: LinkStatus | None, seconds: float, direction: str) -> str:
    """Bytes a second passed on; a link made anew in between counts from nothing."""
    before = 0 if old is None else old.sent_bytes[direction]
    passed = link.sent_bytes[direction] - before
    if passed < 0:
        passed = link.sent_bytes[direction]
    return _bytes(passed / seconds) + "/s" if passed and seconds > 0 else "0"


def _bytes(value: float) -> str:
    for unit in _UNITS:
        if value < 999.5 or unit == _UNITS[-1]:
            return f"{value:.0f} {unit}" if value >= 99.5 or unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError("not reached")


def _count(value: int) -> str:
    return str(value) if value < 1_000_000 else f"{value / 1e6:.1f}M"


def _toxic_line(toxic: ToxicStatus, old: LinkStatus | None, seconds: float, now_ns: int) -> str:
    parts = [f"{toxic.type} {toxic.stream.lower()}"]
    parts += [f"{name}={value}" for name, value in toxic.attributes.items() if value]
    if toxic.toxicity < 1:
        parts.append(f"toxicity={toxic.toxicity:.3g}")
    hits = [count_of(toxic.hits, "hit")]
    before = next((one.hits for one in (old.toxics if old else ()) if one.name == toxic.name), 0)
    if toxic.hits > before and seconds > 0:
        hits.append(f"{(toxic.hits - before) / seconds:.0f}/s")
    # What changes comes first: a narrow screen cuts the end.
    return f"{toxic.name}: {' '.join(hits)}{_times(toxic, now_ns)}; {' '.join(parts)}"


def _times(toxic: ToxicStatus, now_ns: int) -> str:
    if toxic.since_ns is None:
        return "" if toxic.at_ns is None else f", begins in {(toxic.at_ns - now_ns) / 1e9:.1f} s"
    if toxic.for_ms is None:
        return f", on for {(now_ns - toxic.since_ns) / 1e9:.0f} s"
    start_ns = toxic.since_ns if toxic.at_ns is None else toxic.at_ns
    return f", ends in {(start_ns - now_ns) / 1e9 + toxic.for_ms / 1e3:.1f} s"
