"""Redaction of a run: secrets become known while it comes up, so the redactor grows; everything recorded goes through it."""

from __future__ import annotations

from collections.abc import Iterable

from chaos.model.plan import Plan
from chaos.model.secrecy import FORMAT_WORDS, names_of
from chaos.system.redact import Redactor, environment_secrets

__all__ = ["Redaction", "record_words"]


def record_words(plan: Plan) -> frozenset[str]:
    """What the record of a run is made of, which no secret may take with it."""
    operations = (operation.name for workload in plan.workloads for operation in workload.operations)
    return FORMAT_WORDS.union(names_of(plan.scenario), operations, (cell.id for cell in plan.cells), plan.defects)


class Redaction:
    """Replaces the environment's secrets, and those of the run once they are added, in text and bytes; never in `words`."""

    def __init__(self, words: frozenset[str] = FORMAT_WORDS) -> None:
        self._words = words
        self._secrets = set(environment_secrets())
        self._redactor = Redactor(self._secrets, words)

    def add(self, secrets: Iterable[str]) -> None:
        """From now on these are replaced too."""
        self._secrets.update(secrets)
        self._redactor = Redactor(self._secrets, self._words)

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
