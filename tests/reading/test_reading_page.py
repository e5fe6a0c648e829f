"""The generated reference, and the map for a real Toxiproxy, agree with what they were made from."""

from __future__ import annotations

import json

from chaos.model.reading import is_loopback, read_link_map, split_address
from tests.documents import ROOT, script


def test_reference_page_is_current() -> None:
    """docs/scenarios.md is what the schema says today; run `python docs/generate_scenarios.py` if this fails."""
    assert (ROOT / "docs/scenarios.md").read_text(encoding="utf-8") == script("generate_scenarios").page()


def test_toxiproxy_config_has_the_same_edges() -> None:
    """proxies/toxiproxy.json names the links of the reference map in order, each callee at one address, all on loopback."""
    links = read_link_map((ROOT / "proxies/reference.yaml").read_bytes(), source="reference.yaml").links
    proxies = json.loads((ROOT / "proxies/toxiproxy.json").read_text(encoding="utf-8"))
    assert [one["name"] for one in proxies] == [link.name for link in links]
    assert len({one["listen"] for one in proxies}) == len(proxies)
    upstreams = {(link.callee, one["upstream"]) for link, one in zip(links, proxies, strict=True)}
    assert len(upstreams) == len({callee for callee, _ in upstreams})
    for one in proxies:
        host, port = split_address(one["listen"])
        assert is_loopback(host)
        assert port < 32768, "ephemeral ports begin there"


def test_the_map_in_the_readme_is_valid() -> None:
    """The example of an own link map can be copied as it stands."""
    text = (ROOT / "proxies/README.md").read_text(encoding="utf-8")
    example = text.partition("```yaml\n")[2].partition("```")[0]
    assert read_link_map(example, source="shop.yaml").names == ("web>orders", "orders>postgres")
