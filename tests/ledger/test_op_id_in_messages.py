"""Whose effect a message is: baggage, header, subject or payload, and nothing where it does not say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.ledger.op_id import find_op_id
from chaos.model.effect import OpIdIn, StreamRead


@pytest.mark.parametrize(
    ("place", "key", "found"),
    [
        (OpIdIn.SUBJECT, "-1", "task-7"),
        (OpIdIn.SUBJECT, "1", "ref"),
        (OpIdIn.SUBJECT, "4", ""),
        (OpIdIn.SUBJECT, "-4", ""),
        (OpIdIn.HEADER, "x-op", "header-7"),
        (OpIdIn.HEADER, "X-Other", ""),
        (OpIdIn.BAGGAGE, "op.id", "bag 7"),
        (OpIdIn.BAGGAGE, "tenant", "amber"),
        (OpIdIn.BAGGAGE, "op", ""),
        (OpIdIn.JSON, "data.op_id", "json-7"),
        (OpIdIn.JSON, "number", "7"),
        (OpIdIn.JSON, "data", ""),
        (OpIdIn.JSON, "data.op_id.more", ""),
        (OpIdIn.JSON, "yes", ""),
    ],
)
def test_where_the_op_id_stands(place: OpIdIn, key: str, found: str) -> None:
    """Each place a declaration can name; what is not there is empty."""
    headers = {"Baggage": "tenant=amber;ttl=1, op.id = bag%207 ;p=1", "X-Op": " header-7"}
    payload = b'{"data": {"op_id": "json-7"}, "number": 7, "yes": true}'
    read = StreamRead(stream="S", op_id_in=place, key=key)
    assert find_op_id(read, "ref.results.task-7", headers, payload) == found


@given(st.sampled_from(list(OpIdIn)), st.text(max_size=30), st.dictionaries(st.text(), st.text()), st.binary())
def test_any_message_is_read(place: OpIdIn, subject: str, headers: dict[str, str], payload: bytes) -> None:
    """Whatever is in a stream, an op id or nothing comes of it."""
    read = StreamRead(stream="S", op_id_in=place, key="1")
    assert len(find_op_id(read, subject, headers, payload)) <= 200
