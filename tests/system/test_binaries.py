"""Where Postgres is run from, and the machine's examination."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import chaos.system
from chaos.errors import NotReadyError
from chaos.system import binaries, examine
from chaos.system.accounts import Account, may_enter, unprivileged_account

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to change the account")
COPY = """
import sys
from pathlib import Path
from chaos.system import binaries
from chaos.system.accounts import may_enter, unprivileged_account
site = binaries.postgres_wheel_tree()
# As if the wheel lay under a home of mode 0700.
binaries.may_enter = lambda path, account: not path.is_relative_to(site) and may_enter(path, account)
print(binaries.postgres_bin(unprivileged_account(), (Path(sys.argv[1]),)))
"""


@pytest.fixture
def cache() -> Iterator[Path]:
    """A directory everybody can reach, as /var/cache is (pytest's own are private)."""
    with tempfile.TemporaryDirectory() as root:
        Path(root).chmod(0o755)
        yield Path(root) / "cache"


def _copy(cache: Path) -> Path:
    done = subprocess.run([sys.executable, "-c", COPY, str(cache)], check=True, capture_output=True, text=True)
    return Path(done.stdout.strip())


@as_root
def test_unreachable_tree_is_copied_once_and_safely(cache: Path) -> None:
    """Several runs at once end up with one complete copy, owned by root, writable by nobody else, that runs."""
    with ThreadPoolExecutor(3) as pool:
        found = set(pool.map(_copy, [cache] * 3))
    (programs,) = found
    assert len(list(cache.iterdir())) == 1
    account = unprivileged_account()
    assert account is not None
    assert may_enter(programs, account)
    for path in (cache, *cache.rglob("*")):
        about = path.lstat()
        assert about.st_uid == 0
        assert path.is_symlink() or not about.st_mode & 0o022
    version = subprocess.run(
        [programs / "postgres", "--version"], user=account.uid, check=True, capture_output=True, text=True, cwd="/"
    )
    assert "PostgreSQL) 18" in version.stdout


@as_root
def test_cache_of_somebody_else_is_refused(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache directory that others may write to is not run from."""
    cache.mkdir()
    cache.chmod(0o777)
    site = binaries.postgres_wheel_tree()
    monkeypatch.setattr(binaries, "may_enter", lambda path, _account: not path.is_relative_to(site))
    with pytest.raises(NotReadyError, match="only we may write"):
        binaries.postgres_bin(Account("nobody", 65534, 65534), (cache,))


def test_reachability_follows_the_mode_bits(tmp_path: Path) -> None:
    """A directory below one of mode 0700 cannot be entered by others."""
    inner = tmp_path / "home" / "venv"
    inner.mkdir(parents=True)
    inner.parent.chmod(0o700)
    assert not may_enter(inner, Account("other", 54321, 54321))
    assert may_enter(Path("/"), Account("other", 54321, 54321))


def test_examination_passes_here() -> None:
    """On a machine that runs these tests everything required is there, and what is missing says what to do."""
    checks = examine()
    assert [check.name for check in checks if check.required and not check.ok] == []
    assert len({check.name for check in checks}) == len(checks)
    assert all(check.mend or not check.required for check in checks if not check.ok)


def test_table_of_contents_is_true() -> None:
    """Every name the package announces can be had, and an unknown one is refused."""
    for name in chaos.system.__all__:
        assert getattr(chaos.system, name) is not None
    with pytest.raises(AttributeError):
        _ = chaos.system.nonsense


def test_a_user_id_without_a_name_is_told_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As containers have them: initdb refuses an id that the user database does not know."""
    monkeypatch.setattr(os, "geteuid", lambda: 2**30 + 7)
    with pytest.raises(NotReadyError, match=f"user id {2**30 + 7} has no entry"):
        unprivileged_account()
    (postgres,) = [check for check in examine() if check.name == "postgres"]
    assert not postgres.ok
    assert "account" in postgres.mend, "installing something would not help"
