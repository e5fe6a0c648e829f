"""Who an operation is follows from run, workload and index; what it asks about follows from its id."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from chaos.schedule import stream_rng
from chaos.workloads import identity
from chaos.workloads.call import new_call
from chaos.workloads.corpus import TENANTS, Corpus

names = st.text(min_size=1, max_size=40)
indexes = st.integers(min_value=0, max_value=2_000_000_000)
seeds = st.integers(min_value=0, max_value=2**63)


@given(names, names, indexes)
def test_an_op_id_is_a_subject_token_and_a_baggage_value(run: str, workload: str, index: int) -> None:
    """Whatever the workload is called, its op ids hold letters, digits and dashes only, and are short."""
    op = identity.op_id(run, workload, index)
    assert re.fullmatch(r"[A-Za-z0-9-]{1,60}", op)
    assert op == identity.op_id(run, workload, index)


@given(st.lists(st.tuples(names, names, indexes), min_size=2, max_size=20, unique=True))
def test_op_ids_of_different_operations_differ(operations: list[tuple[str, str, int]]) -> None:
    """Run, workload and index all count, names that look alike once folded too."""
    assert len({identity.op_id(*one) for one in operations}) == len(operations)


@given(seeds, names)
def test_trace_context_is_well_formed(seed: int, op: str) -> None:
    """Ids have the lengths of W3C Trace Context, are not zero, and the flag says sampled."""
    trace, span = identity.trace_id(seed, op), identity.root_span_id(seed, op)
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", identity.traceparent(trace, span))
    assert int(trace, 16)
    assert int(span, 16)
    assert re.fullmatch(r"nonce-[0-9a-f]{16}", identity.nonce(seed, op))


def test_ids_are_the_same_on_every_night() -> None:
    """Stored runs rest on these values: a change of the functions is a change of the format."""
    op = identity.op_id("run", "rag", 3)
    assert op == "rag-3-4a44ce502d"
    assert identity.trace_id(7, op) == "5a7d87f457d05a7039aeeffc95cc4acb"
    assert identity.nonce(7, op) == "nonce-7f9c27ec86acc025"


def test_a_digest_is_keyed() -> None:
    """HMAC-SHA256 of the nonce's text; another key gives another digest (the expected one is openssl's)."""
    assert identity.answer_digest(b"key", "nonce-0123456789abcdef") == "digest-b46900c80171e0df"
    assert identity.answer_digest(b"other", "nonce-0123456789abcdef") != identity.answer_digest(
        b"key", "nonce-0123456789abcdef"
    )


@given(names, seeds)
def test_seed_documents_share_nothing(run: str, seed: int) -> None:
    """Every tenant has four documents; ids, nonces and words belong to one document each."""
    documents = Corpus.of(run, seed).documents
    assert sorted(one.tenant for one in documents) == sorted(TENANTS * 4)
    words = [word for one in documents for word in one.words]
    assert len(set(words)) == len(words)
    assert len({one.doc_id for one in documents}) == len({one.nonce for one in documents}) == len(documents)
    assert all(one.nonce in one.text for one in documents)


@given(seeds, indexes)
def test_a_call_is_a_function_of_seed_and_op_id(seed: int, index: int) -> None:
    """Tenant, document, trace and nonce are the same when an operation is made again."""
    corpus = Corpus.of("run", seed)
    op = identity.op_id("run", "rag", index)
    one, two = (new_call(seed, op, 2000.0, corpus) for _ in range(2))
    assert (one.tenant, one.document, one.headers()) == (two.tenant, two.document, two.headers())
    assert one.document == corpus.draw(stream_rng(seed, op, "document"))
    assert all(other.tenant != one.tenant for other in corpus.others(one.tenant))


def test_the_wait_leaves_room_to_tell_late_from_never() -> None:
    """D + max(2 s, D)."""
    corpus = Corpus.of("run", 1)
    assert [new_call(1, "op", ms, corpus).wait_s for ms in (100.0, 2000.0, 10_000.0)] == [2.1, 4.0, 20.0]
