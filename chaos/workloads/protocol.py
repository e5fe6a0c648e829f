"""What conductor and driver say to each other over a unix socket: frames of a u32 big-endian length and a tagged msgpack struct.

Conductor to driver: `Setup`, `Start`, `Phase`, `Probe`, `StopLoad`, `Drain`, `Quit`.
Driver to conductor: the replies `Ready`, `SetupFailed` and `Drained`, and the evidence of `Message`.
"""

from __future__ import annotations

from typing import Final

import msgspec

from chaos.model.base import Data
from chaos.model.event import EvidenceLost, LoadCounted, LoopLagged, PhaseName, ProbesFinished
from chaos.model.operation import Operation
from chaos.model.plan import WorkloadPlan
from chaos.model.settings import Settings

__all__ = [
    "MAX_FRAME_BYTES", "Command", "Drain", "Drained", "DriverFailed", "DriverPlan", "Endpoints", "Message", "OperationsBatch", "Phase",
    "Probe", "Quit", "Ready", "Report", "Setup", "SetupFailed", "Start", "StopLoad", "decode_command", "decode_report", "encode_frame",
]  # fmt: skip

MAX_FRAME_BYTES: Final = 64 * 1024 * 1024
"""A longer frame is a broken peer."""


class Endpoints(Data, frozen=True, kw_only=True):
    """Where the driver's links listen: base URLs, with credentials in that of NATS. None where the system has no such door.

    `links` is for plain workloads: by callee the URL of the listener of `driver>callee` (`http://host:port`, `nats://...`,
    `postgres://user:password@host:port/database`, `tcp://host:port`).
    """

    api: str | None = None
    gateway: str | None = None
    nats: str | None = None
    links: dict[str, str] = {}

    def __repr__(self) -> str:
        links = ", ".join(self.links)
        return f"Endpoints(api={self.api!r}, gateway={self.gateway!r}, nats={'...' if self.nats else None}, links=[{links}])"


class DriverPlan(Data, frozen=True, kw_only=True):
    """Everything the driver needs to know. `digest_key` is the key of the answer digests, `environment` holds the variables that templates
    name; neither they nor credentials show in a repr.
    """

    run_id: str
    namespace: str
    seed: int
    endpoints: Endpoints
    digest_key: str
    workloads: tuple[WorkloadPlan, ...]
    settings: Settings = Settings()
    environment: dict[str, str] = {}

    def __repr__(self) -> str:
        names = ", ".join(one.name for one in self.workloads)
        return f"<DriverPlan run={self.run_id} namespace={self.namespace} seed={self.seed} workloads={names}>"


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", omit_defaults=True):
    """Base: tagged like events, so that both travel in one union."""


class Setup(_Message, frozen=True, kw_only=True, tag=True):
    """Connect, wait for the system, store the seed documents; answered by Ready or SetupFailed."""

    plan: DriverPlan
    within_s: float


class Start(_Message, frozen=True, kw_only=True, tag=True):
    """Arrivals begin: the first gaps count from `at_ns`."""

    at_ns: int


class Phase(_Message, frozen=True, kw_only=True, tag=True):
    """Starts intended from `at_ns` on count for this phase."""

    phase: PhaseName
    at_ns: int


class Probe(_Message, frozen=True, kw_only=True, tag=True):
    """Probe every workload until `k` probes in a row are right and quick, or `within_ms` is over.

    `limits_ms` is the slowest latency that still counts as quick, by `workload.operation` or by workload; without one any speed does.
    """

    k: int
    within_ms: float
    limits_ms: dict[str, float]


class StopLoad(_Message, frozen=True, kw_only=True, tag=True):
    """No more scheduled starts."""


class Drain(_Message, frozen=True, kw_only=True, tag=True):
    """Let operations in flight get their answers or their wait; answered by Drained."""

    within_s: float


class Quit(_Message, frozen=True, kw_only=True, tag=True):
    """Send what there is, and end."""


class Ready(_Message, frozen=True, kw_only=True, tag=True):
    """The system answers and the seed documents are stored."""


class SetupFailed(_Message, frozen=True, kw_only=True, tag=True):
    """The driver cannot work; `reason` is for a person."""

    reason: str


class Drained(_Message, frozen=True, kw_only=True, tag=True):
    """Nothing is in flight any more, but for `abandoned` operations that were still waiting when the time was over."""

    abandoned: int


class OperationsBatch(_Message, frozen=True, kw_only=True, tag=True):
    """Operations that ended since the last batch."""

    operations: tuple[Operation, ...]


class DriverFailed(_Message, frozen=True, kw_only=True, tag=True):
    """The driver is gone or cannot go on; what it knew and had not sent is lost."""

    reason: str


Command = Setup | Start | Phase | Probe | StopLoad | Drain | Quit
Message = OperationsBatch | LoopLagged | LoadCounted | ProbesFinished | EvidenceLost | DriverFailed
Report = Ready | SetupFailed | Drained | Message

_encoder = msgspec.msgpack.Encoder()
_commands: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)
_reports: msgspec.msgpack.Decoder[Report] = msgspec.msgpack.Decoder(Report)


def encode_frame(message: Command | Report) -> bytes:
    """The frame of a message."""
    payload = _encoder.encode(message)
    return len(payload).to_bytes(4, "big") + payload


def decode_command(payload: bytes) -> Command:
    """A command from a frame's payload. Raises msgspec.DecodeError."""
    return _commands.decode(payload)


def decode_report(payload: bytes) -> Report:
    """A report from a frame's payload. Raises msgspec.DecodeError."""
    return _reports.decode(payload)
