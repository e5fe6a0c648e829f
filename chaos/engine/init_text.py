"""From a sketch to the files of a drill: a scenario and, where something runs already, a link map. Pure.

Both are valid as they stand. A line that begins with `#` and no space can be switched on; prose has a space after the `#`.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator

from chaos.engine.init_sketch import Part, Sketch, SketchLink
from chaos.model.link import Protocol

__all__ = ["link_map_text", "scenario_text"]

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_CREDENTIALS = {
    "USER": ("POSTGRES_USER", "PGUSER", "DB_USER", "DB_USERNAME", "DATABASE_USER"),
    "PASSWORD": ("POSTGRES_PASSWORD", "PGPASSWORD", "DB_PASSWORD", "DB_PASS", "DATABASE_PASSWORD"),
    "DATABASE": ("POSTGRES_DB", "PGDATABASE", "DB_NAME", "DB_DATABASE", "DATABASE_NAME"),
}
_PREFERRED = (Protocol.POSTGRES, Protocol.NATS, Protocol.HTTP, Protocol.TCP)


def scenario_text(sketch: Sketch, *, file: str, links: str) -> str:
    """The scenario `file`, whose link map is `links`."""
    lines = _running(sketch, file, links) if sketch.parts else _started(sketch, file)
    return "\n".join(lines) + "\n"


def _running(sketch: Sketch, file: str, links: str) -> Iterator[str]:
    """Of a system that runs already."""
    yield from _head(sketch, file)
    yield f"#   chaos-drill attach {_word(links)}    keeps its links up; that file says what to point at them"
    yield f"#   chaos-drill run {_word(file)} --proxy http://127.0.0.1:8474    meanwhile, in another terminal"
    yield from (
        "#",
        "# A line that begins with # and no space can be switched on. CHANGE marks what is a guess.",
    )
    yield f"name: {_yaml(sketch.name)}"
    yield from ("", "system:", "  # What runs already: nothing of it is started or stopped.", "  upstreams:")
    for part in sketch.parts:
        if part.name not in {"postgres", "nats"}:
            yield f"    {_upstream(part)}{_remark(part)}"
    yield from _stores(sketch)
    yield f"links: {_yaml(links)}"
    yield from _load(sketch)
    yield from _effects(sketch)
    yield from _timeline(_faulted(sketch))


def _started(sketch: Sketch, file: str) -> Iterator[str]:
    """Of a system that the run starts."""
    yield from _head(sketch, file)
    yield f"#   chaos-drill run {_word(file)}    starts what is listed, loads it, breaks it, judges it, takes it down"
    yield from (
        "#",
        "# A line that begins with # and no space can be switched on. CHANGE marks what is a guess.",
    )
    yield f"name: {_yaml(sketch.name)}"
    yield from ("", "system:", "  services:", f"    {sketch.door}:")
    yield "      # CHANGE: how it is started, in this folder; {port} is a free one."
    yield '      command: "{python} app.py --port {port}"'
    yield "      ready: {tcp: true} # or a path that answers 2xx: /healthz"
    yield "      calls: # what it calls, and the variable that tells it where"
    yield from (f"        {store}: {variable}" for store, variable in sketch.calls.items())
    yield "      #env: {LOG_LEVEL: info}"
    yield "      #traced: true"
    for store in sketch.calls:
        yield f"  # From its wheel, made for the run; or the URL of one that runs: {_url(store, sketch)}"
        yield f"  {store}: local"
    yield from _load(sketch)
    yield from _effects(sketch)
    yield from _timeline(f"{sketch.door}>{next(iter(sketch.calls))}")


def _head(sketch: Sketch, file: str) -> Iterator[str]:
    origin = f" from {sketch.source}" if sketch.source and sketch.parts else ""
    yield f"# Written by `chaos-drill init`{origin}; valid as it stands."
    yield from (
        "#",
        f"#   chaos-drill plan {_word(file)}    what would happen and what would be judged; nothing is started",
    )


def _upstream(part: Part) -> str:
    address = f"127.0.0.1:{part.port}"
    if part.protocol is Protocol.HTTP:
        return f"{_yaml(part.name)}: {address}"
    return f"{_yaml(part.name)}: {{at: {address}, protocol: {part.protocol.value}}}"


def _remark(part: Part) -> str:
    return "" if part.listens else " # nobody listens there now"


def _stores(sketch: Sketch) -> Iterator[str]:
    for store in ("postgres", "nats"):
        if sketch.part(store) is not None:
            yield f"  # Only for reading back effects, past the links; {_where(store)}:"
            yield f"  #{store}: {_url(store, sketch)}"


def _where(store: str) -> str:
    return "${NAME} is taken from the environment" if store == "postgres" else "with user:password@ if it asks for them"


def _url(store: str, sketch: Sketch) -> str:
    part = sketch.part(store)
    if store == "nats":
        return f"nats://127.0.0.1:{part.port if part else 4222}"
    user, password, database = (
        next((name for name in names if name in sketch.variables), names[0]) for names in _CREDENTIALS.values()
    )
    return f"postgres://${{{user}}}:${{{password}}}@127.0.0.1:{part.port if part else 5432}/${{{database}}}"


def _load(sketch: Sketch) -> Iterator[str]:
    behind = [one.callee for one in sketch.links if one.caller == sketch.door] or list(sketch.calls)
    yield from ("", "workloads:", "  - kind: http", f"    to: {_yaml(sketch.door)}", "    rate: 5/s", "    operations:")
    yield from ("      look:", "        request: GET / # CHANGE: a request that needs what the fault takes away")
    yield "        # What a right answer is. Without it any 2xx is right, and an error behind a 200 goes unseen:"
    yield '        #expect: {status: 200, contains: "{op_id}"}'
    yield "        # Whom it needs; without it everything that can be reached. A fault elsewhere explains no error:"
    yield f"        #uses: [{', '.join(map(_yaml, behind[:4]))}]"


def _effects(sketch: Sketch) -> Iterator[str]:
    stores = {one.name for one in sketch.parts} | set(sketch.calls)
    if "postgres" not in stores:
        return
    yield from (
        "",
        "      # An operation that writes, and what it leaves: with `effects`, lost and doubled ones are found.",
    )
    yield '      #place: {request: POST /orders, json: {id: "{op_id}"}, effects: [orders]}'
    yield "#effects: {orders: {sql: select id from orders}}"


def _faulted(sketch: Sketch) -> str:
    """The link to break first: from the door to a store, else to anybody, else the way in."""
    own = [one for one in sketch.links if one.caller == sketch.door]
    own.sort(key=lambda one: _PREFERRED.index(_protocol(sketch, one)))
    return own[0].name if own else f"driver>{sketch.door}"


def _timeline(link: str) -> Iterator[str]:
    callee = link.partition(">")[2]
    yield from ("", "timeline:", "  # Two windows alike, and only then is anything broken.")
    yield "  baseline: {window: 4s, min_operations: 30}"
    yield "  faults:"
    if link.startswith("driver>"):
        yield "    # No link behind the driver's own is known. Faults here sit between us and the system: how it answers for them is"
        yield "    # not judged. Name what it calls in the link map, and break that."
    name = _yaml(f"slow-{callee}"[:64].rstrip("-._"))
    yield f"    - {{fault: latency, name: {name}, on: {link}, for: 10s, latency: 100ms}}"
    gone = _yaml(f"{callee[:50]}-gone")
    yield f"    #- {{fault: refuse, name: {gone}, on: {link}, at: 15s, for: 8s}}"
    yield from ("  # Stop early if others suffer:", "  #abort: [{metric: error_rate, above: 80%, window: 15s}]")


def link_map_text(sketch: Sketch, *, file: str) -> str:
    """The link map `file` of a system that runs already."""
    return "\n".join(_link_map(sketch, file)) + "\n"


def _link_map(sketch: Sketch, file: str) -> Iterator[str]:
    origin = f" from {sketch.source}" if sketch.source else " from the ports that were listened on"
    yield f"# Written by `chaos-drill init`{origin}. `chaos-drill attach {_word(file)}` keeps these links up."
    yield from (
        "#",
        "# Attach first, then point each caller at its link instead of at what it calls, and start it anew. Without a run the links",
        "# pass everything on.",
    )
    yield from _pointing(sketch, file)
    for part in sketch.unreached:
        yield f'# {part.name} publishes no port of this machine, so no link leads there. In {sketch.source}: ports: ["127.0.0.1:PORT:PORT"]'
    yield from (f"about: {_yaml(sketch.name)}", "links:")
    for link in sketch.links:
        yield from _link(sketch, link)


def _pointing(sketch: Sketch, file: str) -> Iterator[str]:
    inner = [one for one in sketch.links if one.caller != "driver"]
    if not inner:
        return
    here = "host.docker.internal" if sketch.source else "127.0.0.1"
    yield "#"
    for one in inner:
        variables = ", ".join(one.variables) or "its setting"
        part = sketch.part(one.callee)
        today = f"{_known(part)}:{part.inner or part.port}" if part else one.callee
        yield f"#   {one.caller}: {variables} to {here}:{one.listen} instead of {today}"
    if sketch.source:
        yield from (
            "#",
            f'# Services in {sketch.source} need extra_hosts: ["host.docker.internal:host-gateway"]. On Linux that is an address',
        )
        yield "# of this machine (172.17.0.1), not its loopback: write it for their `listen`, allow_hosts: [172.17.0.1] into the scenario,"
        yield f"# and say chaos-drill attach {file} --allow-host 172.17.0.1"


def _known(part: Part) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", part.known_as)[:60] or "127.0.0.1"


def _link(sketch: Sketch, link: SketchLink) -> Iterator[str]:
    part = sketch.part(link.callee)
    assert part is not None
    yield f"  {link.name}:"
    yield f"    protocol: {part.protocol.value}"
    yield f"    listen: 127.0.0.1:{link.listen}"
    yield f"    upstream: 127.0.0.1:{part.port}"
    if part.protocol in {Protocol.HTTP, Protocol.NATS} and link.caller != "driver":
        yield "    #traced: true # if it passes the trace context on that it is sent"


def _protocol(sketch: Sketch, link: SketchLink) -> Protocol:
    part = sketch.part(link.callee)
    return part.protocol if part else Protocol.TCP


def _yaml(text: str) -> str:
    """The text as a YAML string: quoted where a reader might see something else in it."""
    return text if _PLAIN.fullmatch(text) and text.lower() not in _WORDS else json.dumps(text, ensure_ascii=False)


def _word(file: str) -> str:
    """A file's name as a shell takes it for one."""
    return shlex.quote(f"./{file}" if file.startswith("-") else file)
