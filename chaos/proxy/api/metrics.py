"""Prometheus text of a registry's counters, under 2.12's names; live connections count as they go."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Iterator

from chaos.proxy.proxy import Proxy
from chaos.proxy.registry import Registry

__all__ = ["metrics_text"]

_STARTED_S = time.time()


def metrics_text(registry: Registry, *, runtime: bool) -> str:
    """Text format 0.0.4. `runtime` adds the process's own figures (`process_*`, `python_*`)."""
    lines = [*_proxy_lines(registry), *(_runtime_lines() if runtime else ())]
    return "".join(f"{line}\n" for line in lines)


def _proxy_lines(registry: Registry) -> Iterator[str]:
    for verb, about in (("received", "from the sender"), ("sent", "to the receiver")):
        name = f"toxiproxy_proxy_{verb}_bytes_total"
        yield f"# HELP {name} Bytes {verb} on a link, {about}."
        yield f"# TYPE {name} counter"
        for proxy in sorted(registry.proxies(), key=lambda one: one.name):
            for direction, sign in (("downstream", "<"), ("upstream", ">")):
                count = proxy.received_bytes(sign) if verb == "received" else proxy.sent_bytes(sign)
                yield f"{name}{{{_labels(direction, proxy)}}} {count}"


def _labels(direction: str, proxy: Proxy) -> str:
    labels = {"direction": direction, "listener": proxy.listen, "proxy": proxy.name, "upstream": proxy.upstream}
    return ",".join(f'{key}="{_escaped(value)}"' for key, value in labels.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _runtime_lines() -> Iterator[str]:
    times = os.times()
    figures = {
        "process_cpu_seconds_total": ("counter", times.user + times.system),
        "process_start_time_seconds": ("gauge", round(_STARTED_S, 3)),
        "process_threads": ("gauge", threading.active_count()),
        "python_gc_objects_tracked": ("gauge", sum(gc.get_count())),
    }
    for name, (kind, value) in figures.items():
        yield f"# TYPE {name} {kind}"
        yield f"{name} {value}"
