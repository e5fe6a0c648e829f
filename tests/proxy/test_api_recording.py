"""The control API against a recording of Toxiproxy 2.12: 236 requests in order, answers compared byte for byte."""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from chaos.proxy.api import ControlApi, serve_http
from chaos.proxy.registry import open_registry

RECORDING = Path(__file__).parents[1] / "data" / "toxiproxy-2.12-api.jsonl"
PORTS = range(21001, 21010)

# The rows that differ on purpose: a refused update changes nothing here, and a resolver's words are the system's.
DIFFERENT = {"toxic-show-after-partial-err", "create-bad-host"}
# A decoder's own words are compared by what stands before them.
DECODER = re.compile(r'"error":"bad request body: (?!EOF|unexpected EOF)[^\n]*?","status"')
EPHEMERAL = re.compile(r'(?<="listen":")(\[::\]|\[::1\]|127\.0\.0\.1):(\d+)(?=")')


def rows() -> Iterator[dict[str, Any]]:
    """The recorded exchanges."""
    for line in RECORDING.read_text(encoding="utf-8").splitlines():
        yield json.loads(line)


def masked(text: str) -> str:
    """Without what may differ: kernel-chosen ports and decoder words."""

    def port(match: re.Match[str]) -> str:
        return match[0] if int(match[2]) in PORTS or int(match[2]) == 0 else f"{match[1]}:EPHEMERAL"

    return DECODER.sub('"error":"bad request body: ...","status"', EPHEMERAL.sub(port, text))


def ask(host: str, port: int, row: dict[str, Any]) -> dict[str, Any]:
    """Send one recorded request and describe the answer as the recording does."""
    client = http.client.HTTPConnection(host, port, timeout=10)
    body = row["body"]
    encoding = "latin-1" if row["label"] == "create-BOM" else "utf-8"
    try:
        client.request(row["method"], row["path"], None if body is None else body.encode(encoding), row["req_headers"])
        reply = client.getresponse()
        text = reply.read().decode()
    finally:
        client.close()
    return {
        "status": reply.status,
        "ctype": reply.getheader("Content-Type"),
        "clen": reply.getheader("Content-Length"),
        "te": reply.getheader("Transfer-Encoding"),
        "allow": reply.getheader("Allow"),
        "location": reply.getheader("Location"),
        "nosniff": reply.getheader("X-Content-Type-Options"),
        "reqid": len(reply.getheader("X-Toxiproxy-Request-Id") or "") == 20,
        "resp": masked(text),
    }


def expected(row: dict[str, Any]) -> dict[str, Any]:
    """What the recording says, with the same mask; a masked length is no length to compare."""
    wanted = {key: row[key] for key in ("status", "ctype", "clen", "te", "allow", "location", "nosniff", "reqid")}
    return {**wanted, "resp": masked(row["resp"])}


def comparable(row: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """The answer without its length where that depends on what is masked."""
    length_varies = "EPHEMERAL" in row["resp"] or "bad request body" in row["resp"] or row["te"] == "chunked"
    return {key: value for key, value in answer.items() if key not in ("clen", "te") or not length_varies}


@asynccontextmanager
async def api() -> AsyncIterator[tuple[str, int]]:
    """An empty server of ours."""
    async with (
        open_registry() as registry,
        serve_http(ControlApi(registry, loopback_only=True), "127.0.0.1", 0) as where,
    ):
        yield where


def ports_are_free() -> bool:
    """Whether the recording's fixed ports can be had on this machine, now."""
    for port in PORTS:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


@pytest.mark.xdist_group("ports-21001-21009")
async def test_every_recorded_request_is_answered_as_by_toxiproxy() -> None:
    """Status, headers and body of all exchanges agree, in order, on one server that starts empty."""
    if not ports_are_free():
        pytest.skip("the recording needs ports 21001-21009 on loopback, and one of them is taken")
    wrong: list[str] = []
    async with api() as (host, port):
        for row in rows():
            answer = await anyio.to_thread.run_sync(ask, host, port, row)
            if row["label"] in DIFFERENT:
                assert answer["status"] == row["status"], row["label"]
                continue
            got, wanted = comparable(row, answer), comparable(row, expected(row))
            if got != wanted:
                wrong.append(
                    f"{row['label']}: {row['method']} {row['path']} {row['body']}\n  got    {got}\n  wanted {wanted}"
                )
    assert not wrong, "\n".join(wrong)


def test_the_recording_is_whole() -> None:
    """All 236 exchanges are there."""
    assert sum(1 for _ in rows()) == 236
