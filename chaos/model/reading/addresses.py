"""The shape of a `host:port`."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.model.reading.hosts import split_address
from chaos.model.reading.nodes import Node
from chaos.model.reading.plain import Text
from chaos.model.reading.problems import Report
from chaos.model.reading.shape import Schema

__all__ = ["AddressText"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressText:
    """A `host:port`."""

    lowest_port: int

    def read(self, node: Node, report: Report) -> str | None:
        """The address as written."""
        text = Text(wanted="host:port", example="127.0.0.1:5432", longest=300).read(node, report)
        if text is None:
            return None
        try:
            _, port = split_address(text)
        except ValueError as error:
            report.add(node.place, str(error), "write host:port, such as 127.0.0.1:5432")
            return None
        if port < self.lowest_port:
            report.add(node.place, f"port {port} is out of range", f"write {self.lowest_port} to 65535")
            return None
        return text

    def schema(self) -> Schema:
        """A string with a pattern."""
        return {"type": "string", "maxLength": 300, "pattern": r"^([^:\s]+|\[[0-9A-Fa-f:.%]+\]):[0-9]{1,5}$"}
