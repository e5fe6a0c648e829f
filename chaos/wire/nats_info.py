"""Empties `connect_urls` in NATS INFO, so that no client learns of a way round the proxy.

The addresses are overwritten with spaces: the message keeps its length, stays valid JSON, and nothing has to be held back.
"""

from __future__ import annotations

__all__ = ["InfoBlanker"]

_KEY = b'connect_urls"'
_SPACE = b" \t\r\n"
_SEEKING, _COLON, _BRACKET, _INSIDE = range(4)


class InfoBlanker:
    """One INFO's JSON, fed in pieces of any size. `blanked` counts the bytes that were overwritten."""

    __slots__ = ("_escaped", "_in_text", "_matched", "_state", "blanked")

    def __init__(self) -> None:
        self._state = _SEEKING
        self._matched = 0  # so much of the key was seen
        self._in_text = self._escaped = False
        self.blanked = 0

    def feed(self, piece: bytes) -> bytes:
        """The piece with the addresses in it gone; of the same length."""
        out = bytearray(piece)
        for index, byte in enumerate(piece):
            if self._state == _INSIDE:
                if self._inside(byte):
                    out[index] = 0x20
                    self.blanked += 1
            else:
                self._seek(byte)
        return bytes(out)

    def _seek(self, byte: int) -> None:
        if self._state == _SEEKING:
            if byte == _KEY[self._matched]:
                self._matched += 1
            else:
                self._matched = int(byte == _KEY[0])  # its first letter comes again only where a new match may begin
            if self._matched == len(_KEY):
                self._state, self._matched = _COLON, 0
        elif byte not in _SPACE:
            wanted = b":" if self._state == _COLON else b"["
            self._state = self._state + 1 if byte == wanted[0] else _SEEKING

    def _inside(self, byte: int) -> bool:
        """Whether this byte of the array is to go."""
        if self._in_text:
            if self._escaped:
                self._escaped = False
            elif byte == 0x5C:
                self._escaped = True
            elif byte == 0x22:
                self._in_text = False
        elif byte == 0x5D:
            self._state = _SEEKING
            return False
        else:
            self._in_text = byte == 0x22
        return byte != 0x20
