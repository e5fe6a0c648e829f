"""A value that does not show itself: `repr`, `str` and formatting hide it, `reveal` gives it."""

from __future__ import annotations

import secrets

__all__ = ["Secret", "random_secret"]


class Secret:
    """A credential or a DSN that holds one."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "<Secret>"

    def __str__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and secrets.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def reveal(self) -> str:
        """The value itself; hand it to the one who needs it and nobody else."""
        return self._value


def random_secret() -> Secret:
    """128 random bits in hex: safe in URLs, configuration files and DSNs without quoting."""
    return Secret(secrets.token_hex(16))
