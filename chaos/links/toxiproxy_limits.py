"""What a Toxiproxy 2.12 server can do to a link, and what it must not be asked. Pure."""

from __future__ import annotations

from chaos.links.toxic import Toxic
from chaos.model.fault import FaultSpec

__all__ = ["STANDARD_TOXICS", "why_not", "why_not_fault"]

STANDARD_TOXICS = {
    "bandwidth": ("rate",),
    "latency": ("latency", "jitter"),
    "limit_data": ("bytes",),
    "noop": (),
    "reset_peer": ("timeout",),
    "slicer": ("average_size", "size_variation", "delay"),
    "slow_close": ("delay",),
    "timeout": ("timeout",),
}
"""Its toxics and their attributes. It ignores attributes that it does not know."""

_MAX = (1 << 62) - 1


def why_not(toxic: Toxic) -> str | None:
    """What of this toxic a 2.12 server cannot do, or would die of; None if it can."""
    known = STANDARD_TOXICS.get(toxic.type)
    if known is None:
        return f"the toxic {toxic.type!r}"
    extensions = toxic.extensions()
    if extensions:
        return ", ".join(extensions)
    if toxic.stream.lower() not in ("upstream", "downstream"):
        return f"the stream {toxic.stream!r}"
    unknown = [name for name in toxic.attributes if name not in known]
    if unknown:
        return f"{toxic.type} with {', '.join(unknown)}"
    return _deadly(toxic)


def why_not_fault(fault: FaultSpec) -> str | None:
    """What of a scenario's fault a 2.12 server, with a recorder of ours in front of it, cannot do; None if it can.

    `refuse` is its `enabled: false` together with the recorder's own.
    """
    if fault.of_messages:
        return f"{fault.kind} on single messages"
    picks = [
        word for word, value in (("operation", fault.operation), ("count", fault.count), ("per", fault.per)) if value
    ]
    if picks:
        return f"{fault.kind} with {', '.join(picks)}"
    if fault.kind == "refuse":
        return "refuse with keep_live" if fault.attributes.get("keep_live") else None
    attributes = {
        key: value for key, value in fault.attributes.items() if value or key in STANDARD_TOXICS.get(fault.kind, ())
    }
    return why_not(Toxic(type=fault.kind, stream=fault.stream.value, attributes=attributes))


def _deadly(toxic: Toxic) -> str | None:
    """Values that end a 2.12 server's process."""
    given = toxic.attributes
    if toxic.type == "slicer":
        average, variation = given.get("average_size", 0), given.get("size_variation", 0)
        if average < 1 or not 0 <= variation <= average:
            return "a slicer without an average size, or with a variation beyond it (its process would end)"
    if toxic.type == "bandwidth" and not 0 <= given.get("rate", 0) <= _MAX // 1000:
        return "such a rate (its process would end)"
    if toxic.type == "latency" and abs(given.get("jitter", 0)) > _MAX // 1_000_000:
        return "such a jitter (its process would end)"
    return None
