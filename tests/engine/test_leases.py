"""Leases on disk: held while a run lives, found when it died, and never mistaken for somebody else's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from chaos.engine.leases import StoredLease, keep_lease, stored_leases
from chaos.engine.recovering import recover
from chaos.errors import NotReadyError


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of this test alone."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def lease_of(pid: int, ticks: int = 1) -> StoredLease:
    """A lease on a proxy that is not there."""
    return StoredLease(run_id="r1", pid=pid, start_ticks=ticks, proxy_url="http://127.0.0.1:9", links=("a>b",))


def dead_pid() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_lease_is_there_while_the_run_is(state: Path) -> None:
    """The file exists inside the block only, and says whose it is."""
    lease = StoredLease.of_this_process("r1", "http://127.0.0.1:9", ("a>b",))
    with keep_lease(lease):
        assert [one for _, one in stored_leases()] == [lease]
        assert lease.lives
    assert stored_leases() == []


def test_recover_leaves_a_living_run_alone(state: Path) -> None:
    """A lease whose conductor lives is reported, not touched."""
    with keep_lease(StoredLease.of_this_process("r1", "http://127.0.0.1:9", ("a>b",))):
        lines, _ = recover()
        assert any("r1 is alive" in line for line in lines)
        assert len(stored_leases()) == 1


def test_a_recycled_process_id_is_not_the_run(state: Path) -> None:
    """Our own pid with another start time is somebody else's."""
    assert not lease_of(os.getpid(), ticks=1).lives


def test_recover_removes_the_lease_of_a_dead_run_whose_proxy_is_gone(state: Path) -> None:
    """A proxy that does not answer has no faults; the lease is done with."""
    with keep_lease(lease_of(dead_pid())):
        lines, _ = recover()
        assert any("its proxy" in line and "is gone" in line for line in lines)
        assert stored_leases() == []


def test_an_unreadable_lease_is_told_not_removed(state: Path) -> None:
    """Garbage among the leases is no reason to delete anything, nor to call the machine clean."""
    with keep_lease(lease_of(dead_pid())):
        path, _ = stored_leases()[0]
        path.write_text("{")
        lines, clean = recover(dry_run=True)
    assert any("unreadable lease" in line for line in lines)
    assert not clean


def test_without_a_home_leases_go_to_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account whose state folder cannot be made still runs drills."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file" / "below"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with keep_lease(lease_of(1)):
        assert [path.parent.parent.parent for path, _ in stored_leases()] == [tmp_path]


def test_a_state_folder_that_may_not_be_entered_holds_no_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """`recover` of an account whose home belongs to somebody else still answers."""

    def refuse(_: Path, __: str) -> list[Path]:
        raise PermissionError

    monkeypatch.setattr(Path, "glob", refuse)  # as root, no folder refuses
    assert stored_leases() == []


def test_an_account_without_any_home_has_leases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither HOME nor an entry in the user database, as in many containers."""

    def nobody(_: Path) -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "expanduser", nobody)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with keep_lease(lease_of(1)):
        assert len(stored_leases()) == 1


def planted(folder: Path) -> Path:
    """A lease that names a proxy elsewhere."""
    folder.mkdir(parents=True)
    path = folder / "planted.json"
    path.write_bytes(msgspec.json.encode(lease_of(dead_pid())))
    return path


def test_a_lease_of_somebody_else_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The temporary folder is everybody's: `recover` would call the proxy that it names."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    planted(tmp_path / f"chaos-drill-{os.getuid()}" / "leases")
    assert len(stored_leases()) == 1
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    assert stored_leases() == []
    with pytest.raises(NotReadyError, match="leases cannot be stored"), keep_lease(lease_of(1)):
        pass


@pytest.mark.parametrize("what", ["chaos-drill", "chaos-drill/leases", "chaos-drill/leases/planted.json"])
def test_a_symbolic_link_holds_no_lease(state: Path, tmp_path: Path, what: str) -> None:
    """Whoever made it chose where it leads."""
    planted(state / "chaos-drill" / "leases")
    assert len(stored_leases()) == 1
    (state / what).rename(tmp_path / "elsewhere")
    (state / what).symlink_to(tmp_path / "elsewhere")
    assert stored_leases() == []
