"""Keeping credentials out of files: every form a secret takes in text, replaced; log files scrubbed atomically."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote, urlsplit

from chaos.model.secrecy import FORMAT_WORDS, SHORTEST, worth_hiding

__all__ = ["MARK", "Redactor", "environment_secrets"]

MARK = "[redacted]"
_MARK_BYTES = MARK.encode()
_SECRET_NAME = re.compile(
    r"PASS(WORD|WD|PHRASE)?($|_)|PWD$|TOKEN|SECRET|(^|_|API)KEY($|_)|CREDENTIAL|(^|_)DSN($|_)|DATABASE_URL|(^|_)AUTH($|_)"
    r"|CONNECTION_STRING|(^|_)(PG|POSTGRES|NATS|REDIS|AMQP|MONGO(DB)?)_UR[LI]$",
    re.IGNORECASE,
)
_NOT_SECRET = frozenset({"PWD", "OLDPWD", "SSH_AUTH_SOCK", "XAUTHORITY"})


def environment_secrets(source: Mapping[str, str] | None = None) -> frozenset[str]:
    """Values of variables whose names look like credentials, and the passwords inside values that are URLs."""
    found: set[str] = set()
    for name, value in (os.environ if source is None else source).items():
        if _SECRET_NAME.search(name) and name not in _NOT_SECRET:
            found.add(value)
        if password := _password_of(value):
            found.add(password)
    return frozenset(value for value in found if worth_hiding(value))


def _password_of(value: str) -> str | None:
    if "://" not in value or "@" not in value:
        return None
    try:
        return urlsplit(value).password
    except ValueError:
        return None


class Redactor:
    """Replaces secrets in text and files: plain, URL-encoded, base64, and the password inside a DSN.

    What stands in one of the `words` is not replaced: they are what records are made of.
    """

    def __init__(self, secrets: Iterable[str], words: Iterable[str] = FORMAT_WORDS) -> None:
        told = "\n".join(words)
        forms = {form for one in secrets for form in _forms(one) if worth_hiding(form) and form not in told}
        # Longest first, so that a DSN goes as a whole before its password does.
        self._text = sorted(forms, key=lambda form: (-len(form), form))
        self._bytes = [form.encode("utf-8", "surrogateescape") for form in self._text]

        self._shortest = len(self._text[-1]) if self._text else 0

    @property
    def forms(self) -> tuple[str, ...]:
        """Everything that is replaced."""
        return tuple(self._text)

    def __repr__(self) -> str:
        return f"<Redactor of {len(self._text)} forms>"

    def text(self, text: str) -> str:
        """`text` without secrets."""
        # Looking for each form apart is six times faster than one regular expression of all of them.
        if len(text) < self._shortest:
            return text
        for form in self._text:
            if form in text:
                text = text.replace(form, MARK)
        return text

    def data(self, data: bytes) -> bytes:
        """`data` without secrets."""
        for form in self._bytes:
            if form in data:
                data = data.replace(form, _MARK_BYTES)
        return data

    def finds(self, data: bytes) -> bool:
        """Whether a secret stands in `data`."""
        return any(form in data for form in self._bytes)

    def scrub_file(self, path: Path) -> bool:
        """Rewrite a finished file without secrets, atomically; True if there were any. Nobody may be writing to it.

        A file that cannot be rewritten (a full disk) is removed: better no log than one that tells a secret.
        """
        before = path.read_bytes()
        after = self.data(before)
        if after == before:
            return False
        draft = path.with_name(f".{path.name}.{os.getpid()}.scrub")
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(after)
            draft.chmod(path.stat().st_mode & 0o777)
            draft.replace(path)
        except OSError:
            path.unlink()
        finally:
            draft.unlink(missing_ok=True)
        return True

    def scrub_tree(self, root: Path) -> tuple[Path, ...]:
        """Scrub every file below `root`; the files that held a secret."""
        return tuple(path for path in sorted(root.rglob("*")) if _plain(path) and self.scrub_file(path))


def _plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _forms(secret: str) -> set[str]:
    forms = {secret, unquote(secret), quote(secret, safe=""), quote_plus(secret)}
    if password := _password_of(secret):
        forms |= {password, unquote(password)}
    forms |= {form.lower() for form in forms if "%" in form}
    return forms | {part for form in tuple(forms) for part in _base64_forms(form.encode("utf-8", "surrogateescape"))}


def _base64_forms(raw: bytes) -> set[str]:
    """How base64 shows `raw` at each of the three alignments, without the characters its neighbours decide."""
    result = set()
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + raw).decode().rstrip("=")
        first = (0, 2, 3)[shift]
        last = len(encoded) - (1 if (shift + len(raw)) % 3 else 0)
        part = encoded[first:last]
        result |= {part, part.replace("+", "-").replace("/", "_")}
    return {part for part in result if len(part) >= SHORTEST + 2}
