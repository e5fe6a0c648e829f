"""Go's JSON rules, as far as clients see them: a table of bodies and what becomes of each."""

from __future__ import annotations

import contextlib
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.proxy.api.bodies import decode_attributes, decode_lease, decode_populate, decode_proxy, decode_toxic
from chaos.proxy.api.gojson import BodyError, decode_value, dump, float32_text, take_float32


@pytest.mark.parametrize(
    ("body", "members"),
    [
        (b'{"name":"a","Listen":"x","UPSTREAM":"y","eNaBled":false}', {"name": "a", "listen": "x", "upstream": "y", "enabled": False}),
        (b'{"name":"z","name":"a"}', {"name": "a"}),
        (b'{"name":"z","NAME":"a"}', {"name": "a"}),
        (b'{"name":"a","name":null}', {"name": "a"}),
        (b'{"name":null,"enabled":null}', {}),
        (b"null", {}),
        (b' \n\t{"foo":{"deep":[1,2]},"toxics":[{"type":1}],"Logger":null}', {"toxics": [[("type", "1")]]}),
        (b'{"name":"a"} trailing {', {"name": "a"}),
        (b'{"name":"a"}}', {"name": "a"}),
        (b'{"name":"\\u00e9\\ud83d\\ude00"}', {"name": "\u00e9\U0001f600"}),
        (b'{"name":"\xff"}', {"name": "\ufffd"}),
        (b'{"name":"\\ud800x"}', {"name": "\ufffdx"}),
        ('{"\u017ftream":1,"\u212aname":"x"}'.encode(), {}),
    ],
)  # fmt: skip
def test_bodies_of_a_proxy_that_go_accepts(body: bytes, members: dict[str, object]) -> None:
    """Case of keys, null, duplicates, unknown members and trailing bytes are as with encoding/json."""
    assert decode_proxy(body) == members


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "EOF"),
        (b" \n ", "EOF"),
        (b"{", "unexpected EOF"),
        (b'{"name": "x"', "unexpected EOF"),
        (b'{"name": "x', "unexpected EOF"),
        (b'{"name": tru', "unexpected EOF"),
        (b"[1,", "unexpected EOF"),
        (b"-", "unexpected EOF"),
        (b"xx", "invalid character 'x' looking for beginning of value"),
        (b"\xef\xbb\xbf{}", "invalid character '\u00ef' looking for beginning of value"),
        (b'{"a":NaN}', "invalid character 'N' looking for beginning of value"),
        (b'{"a":Infinity}', "invalid character 'I' looking for beginning of value"),
        (b"{'a':1}", "invalid character '\\'' looking for beginning of object key string"),
        (b'{"a" 1}', "invalid character '1' after object key"),
        (b'{"a":"\x01"}', "invalid character '\x01' in string literal"),
        (b"[]", "json: cannot unmarshal array into Go value of type toxiproxy.Proxy"),
        (b"7", "json: cannot unmarshal number into Go value of type toxiproxy.Proxy"),
        (b'{"name":5}', "json: cannot unmarshal number into Go struct field Proxy.name of type string"),
        (b'{"enabled":"yes"}', "json: cannot unmarshal string into Go struct field Proxy.enabled of type bool"),
        (b'{"enabled":1}', "json: cannot unmarshal number into Go struct field Proxy.enabled of type bool"),
        (b"[" * 100_000, "exceeded max depth"),
    ],
)
def test_bodies_of_a_proxy_that_go_refuses(body: bytes, text: str) -> None:
    """The texts are Go's."""
    with pytest.raises(BodyError) as refused:
        decode_proxy(body)
    assert str(refused.value) == text


@pytest.mark.parametrize("spelling", ["1.5", "100.0", "1e2", '"100"', "99999999999999999999", "9223372036854775808", "true", "[]", "{}"])  # fmt: skip
def test_attributes_are_integers_by_their_spelling(spelling: str) -> None:
    """What is not written as an int64 is refused, whatever its value."""
    body = decode_toxic(f'{{"attributes":{{"latency":{spelling}}}}}'.encode())
    with pytest.raises(BodyError, match=r"into Go struct field LatencyToxic\.attributes\.latency of type int64"):
        decode_attributes(body.attributes, "latency", ["latency", "jitter"])


def test_attributes_that_are_accepted() -> None:
    """Negative and extreme int64 values, null, unknown and oddly cased names."""
    body = decode_toxic(b'{"Attributes":{"LATENCY":-9223372036854775808,"jitter":null,"foo":1.5}}')
    assert decode_attributes(body.attributes, "latency", ["latency", "jitter"]) == {"latency": -(2**63)}
    assert decode_attributes(decode_toxic(b'{"attributes":null}').attributes, "noop", []) == {}


@pytest.mark.parametrize("value", ["[]", '"x"', "1", "true"])
def test_attributes_that_are_no_object_are_refused_before_the_type_is_looked_at(value: str) -> None:
    """As in the first of Go's two passes."""
    with pytest.raises(BodyError, match=r"field ToxicWrapper\.attributes of type toxics\.NoopToxic"):
        decode_toxic(f'{{"type":"nope","attributes":{value}}}'.encode())


def test_toxicity_is_a_float32() -> None:
    """Kept to the nearest float32; a string or what is beyond its range is refused."""
    assert decode_toxic(b'{"toxicity":0.3333333333333}').toxicity == struct.unpack("<f", struct.pack("<f", 1 / 3))[0]
    for text in ('"1"', "1e39", "-1e400"):
        with pytest.raises(BodyError, match="type float32"):
            decode_toxic(f'{{"toxicity":{text}}}'.encode())


def test_our_own_members_are_checked_too() -> None:
    """Extension keys are typed; an unknown protocol and a lease without its times are refused with a word on what to do."""
    toxic = decode_toxic(b'{"type":"noop","lease":"l","seed":7,"at_ns":5,"for_ms":1.5,"fault":"f"}')
    assert toxic.extensions == {"fault": "f", "lease": "l", "seed": 7, "at_ns": 5, "for_ms": 1.5}
    with pytest.raises(BodyError, match="known: tcp, http, postgres, nats"):
        decode_proxy(b'{"protocol":"smtp"}')
    for body in (
        b'{"ttl_ms":1,"hard_end_ms":1}',
        b'{"holder":"h","ttl_ms":0,"hard_end_ms":1}',
        b'{"holder":"h","ttl_ms":1}',
    ):
        with pytest.raises(BodyError, match="a lease needs"):
            decode_lease(body)


def test_populate_takes_an_array_or_nothing() -> None:
    """An object, a string and a broken array are refused; null is none."""
    assert decode_populate(b"null") == decode_populate(b"[]") == []
    for body, word in ((b"{}", "object"), (b'"x"', "string")):
        with pytest.raises(BodyError, match=f"cannot unmarshal {word} into Go value of type"):
            decode_populate(body)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1, "1"), (0, "0"), (-1, "-1"), (0.1, "0.1"), (1 / 3, "0.33333334"), (1e-09, "1e-9"), (1e-07, "1e-7"), (1e-06, "0.000001"), (1e+20, "100000000000000000000"), (1e+21, "1e+21"), (16777216, "16777216"), (3.4028235e+38, "3.4028235e+38")],
)  # fmt: skip
def test_float32_in_gos_shortest_form(value: float, text: str) -> None:
    """The texts that clients see in `toxicity`."""
    assert float32_text(value) == text


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float32_reads_back_as_itself(value: float) -> None:
    """The shortest form loses nothing."""
    text = float32_text(value)
    assert take_float32(float(text)) == value
    assert not math.isnan(float(text))


@given(
    st.recursive(
        st.none() | st.booleans() | st.text() | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_what_is_written_is_json_and_escapes_what_html_would_read(value: object) -> None:
    """Whatever is dumped decodes again, without `<`, `>`, `&` in it."""
    text = dump(value)
    assert not set(text) & {"<", ">", "&", "\u2028"}
    decode_value(text.encode("utf-8", "surrogatepass"))


@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:0123456789.eEtrufalsn -\\u', max_size=60).map(str.encode))
def test_no_body_raises_anything_else(body: bytes) -> None:
    """Any bytes are a body or a BodyError."""
    for decode in (decode_proxy, decode_toxic, decode_populate, decode_lease):
        with contextlib.suppress(BodyError):
            decode(body)
