"""Redaction of a run: secrets become known while it comes up, so the redactor grows; everything recorded goes through it."""

from __future__ import annotations

from collections.abc import Iterable

from chaos.system.redact import Redactor, environment_secrets

__all__ = ["Redaction"]


class Redaction:
    """Replaces the environment's secrets, and those of the run once they are added, in text and bytes."""

    def __init__(self) -> None:
        self._secrets = set(environment_secrets())
        self._redactor = Redactor(frozenset(self._secrets))

    def add(self, secrets: Iterable[str]) -> None:
        """From now on these are replaced too."""
        self._secrets.update(secrets)
        self._redactor = Redactor(frozenset(self._secrets))

    @property
    def redactor(self) -> Redactor:
        """The redactor of what is known now."""
        return self._redactor

    def text(self, value: str) -> str:
        """The text without secrets."""
        return self._redactor.text(value)

    def data(self, value: bytes) -> bytes:
        """The bytes without secrets."""
        return self._redactor.data(value)
