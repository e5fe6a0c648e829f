"""Signals and lost parts end a run's body early, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import anyio
import pytest

from chaos.engine.interrupts import Interrupts, watch_interrupts
from chaos.engine.signals import Signals, catch_signals


def quiet() -> Interrupts:
    """Interrupts that tell nobody."""
    return Interrupts(lambda _name: None)


@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_cancels_what_is_guarded(signo: signal.Signals) -> None:
    """A real signal to this process ends a guarded wait; its name is told once, however often it comes."""
    told: list[str] = []
    with catch_signals() as signals, watch_interrupts(signals, told.append) as interrupts, anyio.fail_after(20):
        with interrupts.guard() as scope:
            for _ in range(3):
                os.kill(os.getpid(), signo)
            await anyio.sleep_forever()
        assert scope.cancelled_caught
        await anyio.lowlevel.checkpoint()
    assert told == [signo.name]
    assert (interrupts.signal, interrupts.over) == (signo.name, True)


async def test_a_signal_before_anybody_listens_is_not_lost() -> None:
    """It came while the run was being planned: the first guarded step is cancelled."""
    with catch_signals() as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        with watch_interrupts(signals, lambda _name: None) as interrupts, anyio.fail_after(20):
            with interrupts.guard():
                await anyio.sleep_forever()
            assert interrupts.signal == "SIGTERM"


def test_signals_after_the_run_change_nothing() -> None:
    """While the run is judged nobody listens: signals are noted, not raised."""
    with catch_signals() as signals:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
    assert repr(signals) == "<Signals SIGINT, SIGTERM>"


def test_the_handlers_from_before_come_back() -> None:
    """A host program gets its own handlers back, on every way out."""
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with pytest.raises(ZeroDivisionError), catch_signals():
        _ = 1 / 0
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_nohup_is_respected() -> None:
    """A SIGHUP that is ignored already stays ignored: the run goes on when its terminal goes."""
    script = (
        "import os, signal\n"
        "from chaos.engine.signals import catch_signals\n"
        "with catch_signals() as signals:\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
        "    print(signals)\n"
    )
    ignored = f"import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); os.execv({sys.executable!r}, {[sys.executable, '-c', script]!r})"
    done = subprocess.run([sys.executable, "-c", ignored], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "<Signals none>\n"


def test_outside_the_main_thread_signals_stay_with_the_host() -> None:
    """A run in a thread catches none, and works."""
    seen: list[Signals] = []

    def work() -> None:
        with catch_signals() as signals:
            seen.append(signals)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(20)
    assert repr(seen) == "[<Signals none>]"


async def test_giving_up_cancels_and_keeps_the_first_reason() -> None:
    """The first loss is the cause, what follows is its consequence."""
    interrupts = quiet()
    with interrupts.guard() as first:
        interrupts.give_up("the proxy died")
        interrupts.give_up("the driver cannot reach it")
        await anyio.sleep_forever()
    with interrupts.guard() as later:
        await anyio.sleep_forever()
    assert (first.cancelled_caught, later.cancelled_caught) == (True, True)
    assert (interrupts.failure, interrupts.signal, interrupts.over) == ("the proxy died", None, True)


async def test_a_scope_that_was_let_go_is_spared() -> None:
    """What runs beside the drill outlives its interrupt."""
    interrupts = quiet()
    with interrupts.guard() as scope:
        interrupts.let_go(scope)
        interrupts.hit("SIGINT")
        await anyio.lowlevel.checkpoint()
    assert not scope.cancelled_caught
