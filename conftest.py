"""Shared by all tests: a clean environment, so that what a developer has exported cannot change a result."""

from __future__ import annotations

import os

import pytest

# Children must find compiled modules: recompiling five services at every start costs seconds.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture(autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases of test runs stay out of the user's own state folder."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / "state"))
    monkeypatch.delenv("CHAOS_DEFECTS", raising=False)
