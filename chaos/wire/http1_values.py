"""Numbers and dates in HTTP fields."""

from __future__ import annotations

import re

__all__ = ["number_of", "retry_after_s"]

_MAX_DIGITS = 18
_IMF_DATE = re.compile(rb"[A-Za-z]{3}, (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT")
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")


def number_of(text: bytes) -> float | None:
    """A number without sign or exponent, or None."""
    digits, _, fraction = text.partition(b".")
    if len(text) > _MAX_DIGITS or not digits.isdigit() or (fraction and not fraction.isdigit()):
        return None
    return float(text)


def retry_after_s(value: bytes, date: bytes) -> float | None:
    """Seconds of Retry-After; a date counts from the reply's own Date, so no clock is needed (RFC 9110, 10.2.3).

    Both dates are whole seconds, so that up to one less may be meant: what is surely asked for.
    """
    if value.isdigit():
        return number_of(value)
    until, now = _seconds(value), _seconds(date)
    return None if until is None or now is None else float(max(0, until - now - 1))


def _seconds(date: bytes) -> int | None:
    match = _IMF_DATE.fullmatch(date)
    if match is None or match[2] not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(match[group]) for group in (1, 3, 4, 5, 6))
    month = _MONTHS.index(match[2]) + 1
    # Days since an arbitrary day, March-based so that a leap day is the last of its year.
    shifted = year - (month <= 2)
    days = 365 * shifted + shifted // 4 - shifted // 100 + shifted // 400 + (153 * ((month + 9) % 12) + 2) // 5 + day
    return days * 86_400 + hour * 3_600 + minute * 60 + second
