"""The load driver: a process of its own (`python -m chaos.workloads SOCKET`), and the conductor's control of it.

The conductor imports `open_control` and the data; kinds of operations live in `chaos.workloads.operations`, one module each.
"""

from __future__ import annotations

from chaos.workloads.control import Control, open_control
from chaos.workloads.protocol import DriverFailed, DriverPlan, Endpoints, Message, OperationsBatch

__all__ = ["Control", "DriverFailed", "DriverPlan", "Endpoints", "Message", "OperationsBatch", "open_control"]
