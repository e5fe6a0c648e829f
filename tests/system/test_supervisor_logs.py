"""What children write reaches their logs without secrets, in whatever pieces it comes, conductor or not."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.errors import NotReadyError
from chaos.system import Redactor
from chaos.system.supervisor.log import ChildLog, Hidden
from tests.system.kit import eventually, python, spec
from tests.system.test_supervisor import opened

SECRET = "hunter2-very-secret"
IN_PIECES = f"""
import sys, time
for piece in ("with {SECRET[:9]}", "{SECRET[9:]}\\n", "done\\n"):
    sys.stdout.write(piece); sys.stdout.flush(); time.sleep(0.2)
time.sleep(600)
"""
CONDUCTOR = f"""
import asyncio, signal, sys
from pathlib import Path
from chaos.system import *

async def main():
    logs = Path(sys.argv[1])
    async with open_children(make_scratch("crash"), logs) as children:
        children.hide(["{SECRET}"])
        argv = (sys.executable, "-c", {IN_PIECES!r})
        await children.start(ChildSpec(name="talk", argv=argv, log=logs / "talk.log", env=minimal_environment()))
        print("up", flush=True)
        signal.pause()

asyncio.run(main())
"""


def written(path: Path, pieces: list[bytes], forms: list[str]) -> bytes:
    """What a log holds after a child wrote these pieces."""
    log = ChildLog(str(path), Hidden(forms))
    for piece in pieces:
        os.write(log.writer, piece)
        log.take()
    log.hand_over()
    log.finish()
    log.close()
    return path.read_bytes()


async def test_secret_in_pieces_is_not_in_the_log(tmp_path: Path) -> None:
    """Half of it is kept back until the rest has come; what follows is there while the child still runs."""
    async with opened(tmp_path) as children:
        children.hide(Redactor({SECRET}).forms)
        child = await children.start(python("talk", IN_PIECES, tmp_path))
        assert eventually(lambda: child.log.exists() and child.log.read_text() == "with [redacted]\ndone\n")


async def test_last_words_are_in_the_log_when_the_end_is_told(tmp_path: Path) -> None:
    """Who hears of an exit looks for the reason at once."""
    async with opened(tmp_path) as children:
        child = await children.start(python("talk", "print('x' * 50_000); print('because')", tmp_path))
        await child.wait()
        assert child.log.read_text().endswith("\nbecause\n")


async def test_command_that_cannot_be_started_leaves_nothing_open(tmp_path: Path) -> None:
    """Its pipe is closed, and the next one starts."""
    async with opened(tmp_path) as children:
        for _ in range(3):
            with pytest.raises(NotReadyError, match="No such file"):
                await children.start(spec("nobody", "/no/such/command", log_dir=tmp_path))
        child = await children.start(python("talk", "print('hello')", tmp_path))
        await child.wait()
        assert child.log.read_text() == "hello\n"


def test_sigkill_of_the_conductor_leaves_no_secret(tmp_path: Path) -> None:
    """What a child says after the conductor was killed is clean, too: nobody comes to scrub it."""
    with subprocess.Popen(
        [sys.executable, "-c", CONDUCTOR, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as conductor:
        assert conductor.stdout is not None
        conductor.stdout.readline()
        log = tmp_path / "talk.log"
        assert eventually(lambda: log.read_text().startswith("with "))
        conductor.kill()
    assert eventually(lambda: log.read_text() != "with ")
    assert SECRET[:9] not in log.read_text()
    assert "[redacted]" in log.read_text()


@given(
    st.text("ab", max_size=60),
    st.lists(st.integers(0, 60), max_size=8),
    st.sets(st.text("ab", min_size=2, max_size=6), max_size=4),
    st.slices(60),
)
def test_no_form_is_left_however_it_is_cut(text: str, cuts: list[int], forms: set[str], long: slice) -> None:
    """Forms that begin within one another included, and long ones."""
    forms |= {text[long]} - {text[long][:1]}
    edges = [0, *sorted(cuts), len(text)]
    pieces = [text[start:end].encode() for start, end in itertools.pairwise(edges) if text[start:end]]
    with tempfile.TemporaryDirectory() as folder:
        found = written(Path(folder) / "log", pieces, sorted(forms))
    assert not [form for form in forms if form.encode() in found]
    if not forms:
        assert found == text.encode()


def test_what_cannot_begin_a_secret_is_not_kept_back(tmp_path: Path) -> None:
    """Readiness is read from the log: its line must be there before the next one."""
    log = ChildLog(str(tmp_path / "log"), Hidden([SECRET, "listening-word"]))
    os.write(log.writer, b"listening\n")
    log.take()
    assert (tmp_path / "log").read_bytes() == b"listening\n"
    log.hand_over()
    log.close()


def test_long_secrets_are_found_in_pieces(tmp_path: Path) -> None:
    """A key file of many lines, written line by line."""
    key = "".join(f"line {number} of a private key\n" for number in range(1000))
    lines = [line.encode() for line in f"before\n{key}after\n".splitlines(keepends=True)]
    assert written(tmp_path / "log", lines, list(Redactor({key}).forms)) == b"before\n[redacted]after\n"
