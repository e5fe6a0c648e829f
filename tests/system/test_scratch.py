"""Scratch directories and what dead runs leave."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from chaos.errors import HealError, NotReadyError
from chaos.system.leftovers import Leftover, find_leftovers, remove_leftover
from chaos.system.scratch import make_scratch, read_owner
from chaos.system.sharedmem import remove_segments, segments_of
from chaos.system.trees import remove_tree


def test_scratch_is_private_and_short(tmp_path: Path) -> None:
    """Nobody else can list it, its owner file names this process, and unix socket paths in it fit 104 bytes."""
    scratch = make_scratch("run-1")
    try:
        assert scratch.path.stat().st_mode & 0o066 == 0
        owner = read_owner(scratch.path)
        assert owner is not None
        assert (owner.run, owner.pid, owner.lives) == ("run-1", os.getpid(), True)
        assert len(str(scratch.path / "sub" / ".s.PGSQL.65535")) < 104
        assert scratch.make("sub").stat().st_mode & 0o777 == 0o700
    finally:
        assert remove_tree(str(scratch.path))


def test_living_run_is_no_leftover(tmp_path: Path) -> None:
    """The directory of a living process is neither found nor removed."""
    scratch = make_scratch("alive", tmp_path)
    assert find_leftovers((tmp_path,)) == ()
    with pytest.raises(HealError, match="alive"):
        remove_leftover(Leftover(path=scratch.path, run="alive", pids=()))
    assert scratch.path.exists()


def _disown(path: Path, **changes: object) -> None:
    owner = msgspec.json.decode((path / "owner.json").read_bytes())
    (path / "owner.json").write_bytes(msgspec.json.encode(owner | changes))


@pytest.mark.parametrize("changes", [{"start_ticks": 1}, {"boot": "another"}, {"pid": 2**22 + 1}])
def test_dead_run_is_found_and_removed(tmp_path: Path, changes: dict[str, object]) -> None:
    """Another start time, another boot or no such process: the run is dead."""
    scratch = make_scratch("dead", tmp_path)
    (scratch.make("deep") / "file").write_text("x")
    _disown(scratch.path, **changes)
    (leftover,) = find_leftovers((tmp_path,))
    assert leftover.run == "dead"
    remove_leftover(leftover)
    assert find_leftovers((tmp_path,)) == ()
    assert list(tmp_path.iterdir()) == []


def test_run_of_another_container_is_left_alone(tmp_path: Path) -> None:
    """Process ids of another namespace say nothing here, so such a run is taken for alive."""
    scratch = make_scratch("elsewhere", tmp_path)
    _disown(scratch.path, pid_namespace="pid:[1]", start_ticks=1)
    assert find_leftovers((tmp_path,)) == ()


def test_strangers_are_left_alone(tmp_path: Path) -> None:
    """Links, files and young directories without an owner are not ours to remove."""
    (tmp_path / "target").mkdir()
    (tmp_path / "chaos-link").symlink_to(tmp_path / "target")
    (tmp_path / "chaos-file").write_text("x")
    (tmp_path / "chaos-young").mkdir()
    assert find_leftovers((tmp_path,)) == ()


def test_only_folders_named_as_ours_are_taken_for_a_dead_runs(tmp_path: Path) -> None:
    """An old folder without an owner file is ours by its exact name; one that merely begins alike is somebody's notes."""
    for name in ("chaos-notes", "chaos-drill-0", "chaos-0123abcd"):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (0, 0))
    assert [one.path.name for one in find_leftovers((tmp_path,))] == ["chaos-0123abcd"]


def test_removing_a_tree_follows_no_link(tmp_path: Path) -> None:
    """What a link points to stays."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub" / "link").symlink_to(outside)
    (tree / "dangling").symlink_to(tmp_path / "nowhere")
    assert remove_tree(str(tree))
    assert (outside / "precious").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="System V segments are listed on Linux only")
def test_shared_memory_is_known_by_its_data_directory(tmp_path: Path) -> None:
    """A segment whose dead maker we never knew is found by the inode of the data directory, and by nothing else."""
    data = tmp_path / "pg" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("18")
    make = (
        "import ctypes, sys; libc = ctypes.CDLL(None); "
        "print(libc.shmget(ctypes.c_int(int(sys.argv[1]) & 0xFFFFFFFF), 56, 0o3600))"  # IPC_CREAT | IPC_EXCL
    )
    done = subprocess.run(
        [sys.executable, "-c", make, str(data.stat().st_ino)], check=True, capture_output=True, text=True
    )
    shmid = int(done.stdout)
    assert segments_of({}, str(tmp_path / "elsewhere")) == []
    assert segments_of({}, str(tmp_path)) == [shmid]
    assert remove_segments([shmid]) == []
    assert segments_of({}, str(tmp_path)) == []
    assert remove_segments([shmid]) == [shmid], "gone already, and told so"


def test_no_room_for_a_scratch_directory_is_said_kindly(tmp_path: Path) -> None:
    """Not a directory, or a disk that takes no files: what to do about it, and nothing half made stays."""
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(NotReadyError, match="set TMPDIR"):
        make_scratch("r1", file)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with pytest.raises(NotReadyError, match="set TMPDIR"):
            make_scratch("r1", tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == [file]
