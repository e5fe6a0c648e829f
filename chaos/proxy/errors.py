"""What the data plane refuses, each with the text and status that the API must answer.

ProxyError
`-- DataPlaneError            `status` is the HTTP status, `str(error)` the message
    |-- ListenError           500 an address cannot be listened on (Go's words)
    |-- MissingFieldError     400
    |-- ProxyExistsError      409
    |-- ProxyNotFoundError    404
    |-- InvalidStreamError    400
    |-- InvalidToxicTypeError 400
    |-- BadAttributesError    400
    |-- ToxicExistsError      409
    |-- ToxicNotFoundError    404
    |-- InToxicError          of another error, at one of several toxics
    |-- LeaseNotFoundError    404
    `-- LeaseTakenError       409 names the holder and its age
UsageError
`-- ConfigError               the config file is wrong, one located problem a line
NotReadyError
`-- ConfigAddressError        the config file's addresses cannot be had, one located problem a line
"""

from __future__ import annotations

from chaos.errors import NotReadyError, ProxyError, UsageError

__all__ = [
    "BadAttributesError", "ConfigAddressError", "ConfigError", "DataPlaneError", "InToxicError", "InvalidStreamError", "InvalidToxicTypeError", "LeaseNotFoundError",
    "LeaseTakenError", "ListenError", "MissingFieldError", "ProxyExistsError", "ProxyNotFoundError", "ToxicExistsError",
    "ToxicNotFoundError",
]  # fmt: skip


class ConfigError(UsageError):
    """A config file is wrong; `problems` hold one `file:line:column: text` each."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class ConfigAddressError(NotReadyError):
    """A config file asks for addresses that cannot be had; `problems` hold one `file:line:column: text` each."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class DataPlaneError(ProxyError):
    """Base: a request that cannot be served, with the status that the API answers."""

    status = 500


class ListenError(DataPlaneError):
    """An address cannot be listened on; the text is the one Go's `net` package would give, clients compare it."""


class MissingFieldError(DataPlaneError):
    """A proxy without name or upstream."""

    status = 400

    def __init__(self, field: str) -> None:
        super().__init__(f"missing required field: {field}")


class ProxyExistsError(DataPlaneError):
    """The name is taken."""

    status = 409

    def __init__(self) -> None:
        super().__init__("proxy already exists")


class ProxyNotFoundError(DataPlaneError):
    """No proxy of that name."""

    status = 404

    def __init__(self) -> None:
        super().__init__("proxy not found")


class InvalidStreamError(DataPlaneError):
    """A stream that is neither upstream nor downstream."""

    status = 400

    def __init__(self) -> None:
        super().__init__("stream was invalid, can be either upstream or downstream")


class InvalidToxicTypeError(DataPlaneError):
    """A type for which there is no file in `toxics/`; names are case-sensitive."""

    status = 400

    def __init__(self) -> None:
        super().__init__("invalid toxic type")


class BadAttributesError(DataPlaneError):
    """Attributes that no effect can be given to."""

    status = 400

    def __init__(self, reason: str) -> None:
        super().__init__(f"bad request body: {reason}")


class ToxicExistsError(DataPlaneError):
    """The name is taken on this proxy, whatever the direction and type."""

    status = 409

    def __init__(self) -> None:
        super().__init__("toxic already exists")


class ToxicNotFoundError(DataPlaneError):
    """No toxic of that name on this proxy."""

    status = 404

    def __init__(self) -> None:
        super().__init__("toxic not found")


class InToxicError(DataPlaneError):
    """What is wrong with one toxic of several, counted from 1."""

    def __init__(self, cause: DataPlaneError, number: int) -> None:
        super().__init__(f"{cause} at toxic {number}")
        self.status = cause.status


class LeaseNotFoundError(DataPlaneError):
    """No such lease: it ran out, met its hard end, or was given back."""

    status = 404

    def __init__(self, lease: str) -> None:
        super().__init__(f"lease {lease!r} not found; it ended or never was, acquire a new one")


class LeaseTakenError(DataPlaneError):
    """Somebody else holds the proxy. `holder` and `age_ms` say who and for how long."""

    status = 409

    def __init__(self, holder: str, age_ms: float) -> None:
        super().__init__(f"held by {holder} for {age_ms / 1000:.1f}s; wait for it to end, or for its lease to run out")
        self.holder = holder
        self.age_ms = age_ms
