"""The reference backend: provider, gateway, rag, agent and api, each its own process (`python -m chaos.reference SERVICE`).

A small but real AI backend on HTTP, NATS and Postgres, configured by environment only. It imports nothing of the tool
that drills it, and nothing of the tool imports it. Start reading at `agent/`, `rag/` and `gateway/`; what they share
stands beside this file: `budget` (deadlines), `problems` (errors), `telemetry` (traces), `httpcall`, `database`, `bus`,
`outbox` (the ways out) and `serving` (the way in).
"""

from __future__ import annotations

__all__: list[str] = []
