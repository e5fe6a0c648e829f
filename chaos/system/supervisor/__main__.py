"""`python -m chaos.system.supervisor SCRATCH`: standard input is the socket to the conductor."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys

from chaos.system.supervisor.loop import Supervisor


def main() -> None:
    """Ignore what a terminal or an operator sends to the whole group: the end of the pipe is the only way to end."""
    for signo in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE):
        signal.signal(signo, signal.SIG_IGN)
    gc.disable()
    gc.freeze()
    with socket.socket(fileno=os.dup(0)) as sock:
        Supervisor(sock, sys.argv[1]).run()


main()
