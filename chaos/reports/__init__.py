"""Views of a run, one renderer per file: console, live progress, JSON, JUnit, Markdown. None of them judges anything."""

from __future__ import annotations

from chaos.reports.console import console_text, render_console
from chaos.reports.document import document_schema
from chaos.reports.files import write_all
from chaos.reports.json_report import render_json
from chaos.reports.junit import render_junit
from chaos.reports.links import render_links
from chaos.reports.live import LiveView, live_view
from chaos.reports.markdown import render_markdown
from chaos.reports.plan import plan_text, render_plan
from chaos.reports.screen import Screen, screen_of
from chaos.reports.timeline import timeline

__all__ = [
    "LiveView", "Screen", "console_text", "document_schema", "live_view", "plan_text", "render_console", "render_json", "render_junit",
    "render_links", "render_markdown", "render_plan", "screen_of", "timeline", "write_all",
]  # fmt: skip
