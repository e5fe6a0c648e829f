"""The config file: read with every problem in its place, loaded at start, and reloaded while traffic goes on."""

from chaos.proxy.config.loading import Config, Reloaded
from chaos.proxy.config.reading import Entry, Page, read_page

__all__ = ["Config", "Entry", "Page", "Reloaded", "read_page"]
