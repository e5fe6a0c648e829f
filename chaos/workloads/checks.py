"""What a workload declares about the content of its ok answers. Each check yields what it did not find."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from chaos.model.operation import Unmet
from chaos.workloads.answers import excerpt
from chaos.workloads.call import Call
from chaos.workloads.corpus import Corpus
from chaos.workloads.identity import answer_digest

__all__ = ["VECTOR_DIMENSION", "Checks", "dimension"]

VECTOR_DIMENSION = 64


def dimension(seen: int) -> Iterator[Unmet]:
    """Vectors have the declared dimension."""
    if seen != VECTOR_DIMENSION:
        yield Unmet(check="dimension", expected=f"vectors of dimension {VECTOR_DIMENSION}", seen=str(seen))


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """Checks that need the run's digest key and its documents."""

    key: bytes
    corpus: Corpus

    def input_digest(self, call: Call, text: str) -> Iterator[Unmet]:
        """The text is made from this operation's own input: it holds the digest of its nonce."""
        if not text.strip():
            yield Unmet(check="text", expected="a text", seen="an empty text")
        elif answer_digest(self.key, call.nonce) not in text:
            yield Unmet(
                check="input-digest",
                expected=f"{answer_digest(self.key, call.nonce)} of {call.nonce}",
                seen=excerpt(text),
            )

    def document_digest(self, call: Call, text: str) -> Iterator[Unmet]:
        """The text is made from the document asked about: it holds the digest of the document's nonce."""
        digest = answer_digest(self.key, call.document.nonce)
        if text.strip() and digest not in text:
            yield Unmet(
                check="document-digest", expected=f"{digest} of document {call.document.doc_id}", seen=excerpt(text)
            )

    def sources(self, call: Call, doc_ids: Iterable[str]) -> Iterator[Unmet]:
        """The sources name the document asked about."""
        seen = tuple(doc_ids)
        if call.document.doc_id not in seen:
            yield Unmet(
                check="sources",
                expected=f"document {call.document.doc_id}",
                seen=excerpt(", ".join(seen)) or "no source",
            )

    def tenant(self, call: Call, tenant: str, text: str = "", doc_ids: Iterable[str] = ()) -> Iterator[Unmet]:
        """Tenants never mix: the answer is this tenant's, and nothing in it comes from another tenant's documents."""
        if tenant != call.tenant:
            yield Unmet(check="tenant", expected=call.tenant, seen=excerpt(tenant) or "no tenant")
        named = set(doc_ids)
        for other in self.corpus.others(call.tenant):
            if other.doc_id in named or answer_digest(self.key, other.nonce) in text:
                seen = f"document {other.doc_id} of {other.tenant}"
                yield Unmet(check="tenant", expected=f"nothing but documents of {call.tenant}", seen=seen)
