"""What a scenario says of effects and of the rest to wait for."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.engine.planning import load_plan
from chaos.errors import ScenarioError

MAILER = """
name: mailer
system:
  services: {mailer: {command: ./mailer, ready: {log: ready}, calls: {nats: NATS_URL, postgres: DSN}}}
  postgres: local
  nats: local
effects: {sent: {sql: select mail from sent}}
workloads:
  - kind: nats
    to: nats
    rate: 5/s
    operations: {mail: {publish: mails.new, jetstream: true, payload: "{op_id}", effects: [sent]}}
timeline: {faults: [{fault: latency, on: mailer>postgres, for: 4s, latency: 20ms}]}
"""
REFERENCE = """
name: ours
workloads: [{kind: agent, rate: 1/s}]
timeline: {faults: [{fault: refuse, on: gateway>provider, for: 4s}]}
"""


@pytest.mark.parametrize(
    ("line", "streams"), [("", None), ("streams: [MAILS, ORDERS]", ("MAILS", "ORDERS")), ("streams: []", ())]
)
def test_streams_to_wait_for_are_named_or_all(tmp_path: Path, line: str, streams: tuple[str, ...] | None) -> None:
    """All of them, some, or none."""
    path = tmp_path / "mailer.yaml"
    path.write_text(MAILER + line, encoding="utf-8")
    assert load_plan(str(path)).ledger.streams == streams


@pytest.mark.parametrize("line", ["effects: {a: {sql: select 1}}", "unfinished: {a: select 1}", "streams: [A]"])
def test_the_reference_declares_its_own(tmp_path: Path, line: str) -> None:
    """It is refused, not ignored."""
    path = tmp_path / "ours.yaml"
    path.write_text(REFERENCE + line, encoding="utf-8")
    with pytest.raises(ScenarioError, match="the reference backend declares its own effects"):
        load_plan(str(path))
