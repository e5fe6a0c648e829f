"""Which existing account a server runs as that refuses to run as root. No account is ever created."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import NamedTuple

from chaos.errors import NotReadyError

__all__ = ["Account", "may_enter", "unprivileged_account"]

_CANDIDATES = ("nobody", "daemon", "bin")
# `postgres` is left out on purpose: where it exists it may own somebody's real data.


class Account(NamedTuple):
    """An account to become: its name, user id and primary group id."""

    name: str
    uid: int
    gid: int


def unprivileged_account() -> Account | None:
    """The account Postgres runs as: None (stay who we are) unless we are root.

    Raises NotReadyError if we are root and there is no unprivileged account, or if our user id has no name: initdb refuses that.
    """
    if os.geteuid() != 0:
        _require_name()
        return None
    for name in _CANDIDATES:
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        if found.pw_uid != 0:
            return Account(name, found.pw_uid, found.pw_gid)
    raise NotReadyError(
        f"Postgres does not run as root, and none of the accounts {', '.join(_CANDIDATES)} exists; "
        "run as an ordinary user, or create one of them"
    )


def _require_name() -> None:
    """Containers often run under a user id that nobody entered anywhere."""
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        raise NotReadyError(
            f"user id {os.geteuid()} has no entry in the user database (/etc/passwd), and Postgres needs one; "
            "run as an account that exists, or add an entry for this id"
        ) from None


def may_enter(path: Path, account: Account) -> bool:
    """Whether `account` may reach and read the directory `path`, by the mode bits of it and all its parents."""
    here = path.resolve()
    return _grants(here, account, 0o5) and all(_grants(parent, account, 0o1) for parent in here.parents)


def _grants(path: Path, account: Account, bits: int) -> bool:
    found = path.stat()
    if found.st_uid == account.uid:
        shift = 6
    elif found.st_gid == account.gid:
        shift = 3
    else:
        shift = 0
    return (found.st_mode >> shift) & bits == bits
