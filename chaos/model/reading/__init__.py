"""Scenario files and link maps: text in, typed data out. Pure; every problem is `file:line:column: what; what instead`."""

from chaos.model.reading.hosts import beyond_loopback, is_loopback, split_address
from chaos.model.reading.link_map import read_link_map
from chaos.model.reading.scenario import read_scenario
from chaos.model.reading.schema import json_schema, link_map_schema
from chaos.model.reading.vocabulary import Vocabulary

__all__ = [
    "Vocabulary",
    "beyond_loopback",
    "is_loopback",
    "json_schema",
    "link_map_schema",
    "read_link_map",
    "read_scenario",
    "split_address",
]
