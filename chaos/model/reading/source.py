"""From bytes to text: size, encoding, characters that do not belong in YAML."""

from __future__ import annotations

import re

from chaos.model.reading.limits import MAX_BYTES
from chaos.model.reading.problems import START, Place, Report

__all__ = ["decode", "place_of"]

# YAML 1.2, production [1] c-printable, without the byte order mark.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_NAMES = {"\0": "a NUL byte", "\ufeff": "a byte order mark"}


def place_of(text: str, index: int) -> Place:
    """Line and column of a character of the text."""
    breaks = [match.end() for match in _BREAK.finditer(text, 0, index)]
    return Place(len(breaks) + 1, index - (breaks[-1] if breaks else 0) + 1)


def decode(text: str | bytes, source: str) -> str:
    """The text of a file. Raises `chaos.errors.ScenarioError` for what is too big, not UTF-8, or holds characters YAML does not allow."""
    report = Report(source)
    if len(text) > MAX_BYTES:
        report.add(START, f"the file is over {MAX_BYTES // 1_000_000} MB", "split the drill into several scenarios")
        raise report.error()
    decoded = _from_utf8(text, report) if isinstance(text, bytes) else text
    found = _UNPRINTABLE.search(decoded)
    if found is not None:
        what = _NAMES.get(found[0], f"the character U+{ord(found[0]):04X}, which YAML does not allow,")
        instead = "save the file as UTF-8 without one" if found[0] == "\ufeff" else "remove it"
        report.add(place_of(decoded, found.start()), f"{what} stands here", instead)
        raise report.error()
    return decoded


def _from_utf8(raw: bytes, report: Report) -> str:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        report.add(START, "the file is UTF-16", "save it as UTF-8")
        raise report.error()
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8", errors="replace")
        place = place_of(before, len(before))
        report.add(place, f"the byte 0x{raw[error.start]:02x} is not UTF-8", "save the file as UTF-8")
        raise report.error() from None
