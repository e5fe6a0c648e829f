"""The ledger: what the stores hold of the operations of a run, read back on connections that no fault can touch.

`mark_streams` notes what streams held before a run. `audit` waits until the stores are at rest, reads every declared effect, and never raises for a store that does not answer.
"""

from __future__ import annotations

from chaos.ledger.access import Access
from chaos.ledger.audit import HURRIED, Audit, Limits, audit, mark_streams
from chaos.ledger.marks import Marks

__all__ = ["HURRIED", "Access", "Audit", "Limits", "Marks", "audit", "mark_streams"]
