"""What operations talk about: seed documents of several tenants, each with words and a nonce of its own."""

from __future__ import annotations

import random
from dataclasses import dataclass

from chaos.model.op_ids import SEED_WORKLOAD
from chaos.schedule import stream_rng
from chaos.workloads import identity

__all__ = ["NO_DOCUMENT", "SEED_WORKLOAD", "TENANTS", "Corpus", "SeedDocument", "new_words"]

TENANTS = ("amber", "birch", "cedar")
_DOCUMENTS_EACH = 4
_WORDS_EACH = 8
_SYLLABLES = ("ba", "ko", "mi", "ru", "ta", "ve", "lo", "ne", "shi", "dor", "pel", "gan", "quo", "zel", "fim", "yar")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedDocument:
    """A document that questions are asked about. `words` occur in no other seed document."""

    op_id: str
    tenant: str
    doc_id: str
    title: str
    words: tuple[str, ...]
    nonce: str

    @property
    def text(self) -> str:
        """The document's text; the words dominate it, so that a search for them finds it."""
        return f"{' '.join(self.words)}. Record {self.nonce} is about {' '.join(self.words)}."


NO_DOCUMENT = SeedDocument(op_id="", tenant="", doc_id="", title="", words=(), nonce="")
"""What operations ask about that ask about no document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """The seed documents of a run."""

    documents: tuple[SeedDocument, ...]

    @classmethod
    def of(cls, run_id: str, seed: int) -> Corpus:
        """The corpus of a run: a function of run and seed."""
        rng = stream_rng(seed, "corpus")
        words = new_words(rng, len(TENANTS) * _DOCUMENTS_EACH * _WORDS_EACH)
        return cls(
            documents=tuple(_document(run_id, seed, index, words) for index in range(len(TENANTS) * _DOCUMENTS_EACH))
        )

    def draw(self, rng: random.Random) -> SeedDocument:
        """One of the documents."""
        return rng.choice(self.documents)

    def others(self, tenant: str) -> tuple[SeedDocument, ...]:
        """Documents that tenant must never see."""
        return tuple(one for one in self.documents if one.tenant != tenant)


def new_words(rng: random.Random, count: int) -> tuple[str, ...]:
    """That many different words that mean nothing."""
    words: dict[str, None] = {}
    while len(words) < count:
        words["".join(rng.choice(_SYLLABLES) for _ in range(4))] = None
    return tuple(words)


def _document(run_id: str, seed: int, index: int, words: tuple[str, ...]) -> SeedDocument:
    op_id = identity.op_id(run_id, SEED_WORKLOAD, index)
    own = words[index * _WORDS_EACH : (index + 1) * _WORDS_EACH]
    return SeedDocument(
        op_id=op_id,
        tenant=TENANTS[index % len(TENANTS)],
        doc_id=op_id,
        title=f"{own[0].capitalize()} and {own[1]}",
        words=own,
        nonce=identity.nonce(seed, op_id),
    )
