"""URLs of stores: split as written, filled in afterwards, and no value shows itself."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.model.store_url import read_store_url


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=30))
def test_no_value_moves_the_borders_of_a_url(value: str) -> None:
    """Whatever the password is: host, port, path and the password itself are read back by everybody else's parser."""
    url = read_store_url("postgres://u:${PW}@h.example:5433/${DB}?application_name=${PW}", {"PW": value, "DB": "db"})
    parts = urlsplit(url.text)
    assert (parts.hostname, parts.port, parts.path) == ("h.example", 5433, "/db")
    assert unquote(parts.password or "") == value
    assert url.address(5432) == "h.example:5433"


@pytest.mark.parametrize(
    ("written", "address", "text"),
    [
        ("postgres://h", "h:5432", "postgres://h"),
        ("postgres://u:p%40s@[::1]:5/db?a=b", "[::1]:5", "postgres://u:p%40s@[::1]:5/db?a=b"),
        ("postgres://u:a@b@h/db", "h:5432", "postgres://u:a%40b@h/db"),
        ("postgres://${HOST}:${PORT}/db", "db.example:6000", "postgres://db.example:6000/db"),
        ("postgres://h/db?${MORE}", "h:5432", "postgres://h/db?sslmode=disable&a=b"),
        ("${URL}", "h:7", "postgres://u:p%40${X}@h:7/db"),
    ],
)
def test_urls_are_read(written: str, address: str, text: str) -> None:
    """Variables may say any part, or all of it."""
    environment = {
        "HOST": "db.example",
        "PORT": "6000",
        "MORE": "sslmode=disable&a=b",
        "URL": "postgres://u:p%40${X}@h:7/db",
    }
    url = read_store_url(written, environment)
    assert (url.address(5432), url.text) == (address, text)


@pytest.mark.parametrize(
    "written",
    [
        "postgres://my host/db",
        "postgres://h 99999",
        "postgres://h:99999",
        "postgres://h:0x1",
        "postgres://[::1/db",
        "postgres://u:pa/ss@h/db",
        "postgres://u:pa#ss@h/db",
        "postgres://",
        "h:5432",
        "${DIRTY}",
        "${PLAIN}",
        "postgres://${PLAIN}/db",
        "postgres://u:p@${BLANK}/db",
    ],
)
def test_what_is_no_url_is_refused_without_a_word_of_it(written: str) -> None:
    """A value that moves a border is not taken for a host."""
    environment = {"DIRTY": "postgres://u:hun@ter2/x@h:1/db", "PLAIN": "hun@ter2secret", "BLANK": ""}
    with pytest.raises(ValueError, match=r"^no (URL|host and port)$"):
        read_store_url(written, environment)


def test_a_variable_that_is_not_set_is_named() -> None:
    """Wherever it stands."""
    for written in ("${X}", "postgres://u:${X}@h", "postgres://${X}", "postgres://h/${X}", "postgres://h?a=${X}"):
        with pytest.raises(KeyError, match="X"):
            read_store_url(written, {})
