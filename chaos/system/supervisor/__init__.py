"""The small process that owns all children of a run and ends them when its pipe to the conductor closes.

    python -m chaos.system.supervisor SCRATCH_DIRECTORY

Standard library only, single-threaded, in its own session; it speaks JSON lines over the socket that is its standard
input. `loop` is the whole life, `child` one process, `spawn` fork and exec, `log` what it writes, `escalation` the pure rule of who gets
which signal when.
"""

__all__: list[str] = []
