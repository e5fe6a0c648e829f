"""The config file: every problem in its place, all or nothing at start, and reloads that touch only what changed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.links import probe_connect
from chaos.proxy import Options
from chaos.proxy.config import Config, read_page
from chaos.proxy.config.places import place_of
from chaos.proxy.errors import ConfigAddressError, ConfigError
from tests.proxy.api_rig import Api, echo_server, joined, open_rig_api

LATENCY = {"type": "latency", "name": "slow", "attributes": {"latency": 1}}


def proxy(name: str, **members: Any) -> dict[str, Any]:
    """An entry."""
    return {"name": name, "listen": "127.0.0.1:0", "upstream": "127.0.0.1:1", **members}


def problems(text: str) -> list[str]:
    """What is wrong with a file, without its name."""
    return [one.removeprefix("f.json:") for one in read_page(text.encode(), "f.json").problems]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[]", []),
        ("null", []),
        ("", ["1:1: not JSON: Expecting value"]),
        ("[\n {,}\n]", ["2:3: not JSON: Expecting property name enclosed in double quotes"]),
        ("{}", ["1:1: the file is a list of proxies, this is an object"]),
        ("[] x", ["1:4: nothing may follow the list of proxies"]),
        ("[\n  7]", ["2:3: a proxy is an object, this is a number"]),
        ('[{"name": "a"}]', ["1:2: missing required field: upstream"]),
        ('[{"name": "", "upstream": "u:1"}]', ["1:11: name is empty"]),
        (
            '[\n  {"name": "a", "upstream": "u:1",\n   "enabled": "yes"}\n]',
            ["3:15: json: cannot unmarshal string into Go struct field Proxy.enabled of type bool"],
        ),
        (
            '[{"name": "a", "upstream": "u:1"},\n {"NAME": "a", "upstream": "u:1"}]',
            ["2:11: the name 'a' is taken, see f.json:1:11"],
        ),
        (
            '[{"name":"a","upstream":"u:1","protocol":"gopher"}]',
            ["1:42: protocol 'gopher' is not framed here; known: tcp, http, postgres, nats"],
        ),
        ('[{"name":"a","upstream":"u:1","toxics":{}}]', ["1:40: toxics are a list, this is an object"]),
        (
            '[{"name":"a","upstream":"u:1","toxics":[\n{"type":"noop"},\n{"type":"none"}]}]',
            ["3:1: invalid toxic type"],
        ),
        (
            '[{"name":"a","upstream":"u:1","toxics":[{"type":"noop","lease":"x"}]}]',
            ["1:41: lease belongs to a running server; a config file cannot know one"],
        ),
        ('[7, {"name": "a"}]', ["1:2: a proxy is an object, this is a number", "1:5: missing required field: upstream"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(text: str, found: list[str]) -> None:
    """`file:line:column: text`, one for each problem, all of them."""
    assert problems(text) == found


def test_toxics_that_mean_nothing_on_their_link_are_said_with_their_place() -> None:
    """All of them, before anything is started."""
    text = '[{"name":"a","upstream":"u:1","toxics":[{"type":"cut"}, {"type":"noop","match":"x"}]}]'
    first, second = problems(text)
    assert first.startswith("1:41: bad request body: cut acts on messages, which this link does not tell apart")
    assert second.startswith("1:57: bad request body: match needs a link whose messages are told apart")
    assert problems(text.replace('"u:1",', '"u:1","protocol":"http",')) == []


def test_an_unknown_key_is_a_warning() -> None:
    """Toxiproxy reads over them, and files carry comments that way; what it shows itself is no news."""
    page = read_page(b'[{"name":"a","upstream":"u:1","lisen":":1","Logger":{},"toxics":null}]', "f.json")
    assert page.warnings == ["f.json:1:39: 'lisen' means nothing here"]
    assert (len(page.entries), page.problems) == (1, [])


def test_a_byte_order_mark_is_named() -> None:
    """It cannot be seen in an editor."""
    (problem,) = read_page(b"\xef\xbb\xbf[]", "f.json").problems
    assert "byte order mark" in problem


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


@given(value=values, indent=st.sampled_from([None, 0, 3]), data=st.data())
def test_a_place_is_where_the_value_begins(value: Any, indent: int | None, data: st.DataObject) -> None:
    """Decoding from there gives the value at the end of the path."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    path: list[Any] = []
    while value and isinstance(value, (list, dict)) and data.draw(st.booleans()):
        keys = list(range(len(value))) if isinstance(value, list) else list(value)
        # Two keys that differ only in case are one key to those who read these files.
        keys = [key for key in keys if isinstance(key, int) or [k.casefold() for k in keys].count(key.casefold()) == 1]
        if not keys:
            break
        path.append(data.draw(st.sampled_from(keys)))
        value = value[path[-1]]
    line, column = place_of(text, path)
    offset = sum(len(one) + 1 for one in text.split("\n")[: line - 1]) + column - 1
    assert json.JSONDecoder().raw_decode(text, offset)[0] == value


@given(st.binary(max_size=200) | values.map(lambda one: json.dumps(one).encode()))
def test_no_file_makes_the_reader_fail(data: bytes) -> None:
    """Whatever the bytes, there are entries or located problems."""
    page = read_page(data, "f.json")
    assert all(one.startswith("f.json:") for one in page.problems)


class Filed:
    """A server with a config file that the test rewrites."""

    def __init__(self, api: Api, config: Config) -> None:
        self.api = api
        self.config = config

    def write(self, *entries: Any) -> None:
        """Replace the file."""
        self.config.path.write_text(json.dumps(entries, indent=1))

    async def shown(self) -> dict[str, Any]:
        """All proxies."""
        proxies: dict[str, Any] = (await self.api.ask("GET", "/proxies"))[1]
        return proxies


@pytest.fixture
async def filed(tmp_path: Path) -> AsyncIterator[Filed]:
    """A server without proxies."""
    async with make_filed(tmp_path) as made:
        yield made


@asynccontextmanager
async def make_filed(folder: Path, options: Options | None = None) -> AsyncIterator[Filed]:
    """A server of those options."""
    configs: list[Config] = []

    async def reload() -> Any:
        return await configs[0].reload()

    async with open_rig_api(options, reload=reload) as api:
        configs.append(Config(api.registry, folder / "toxiproxy.json"))
        yield Filed(api, configs[0])


async def test_toxics_of_the_file_are_there_from_the_start(filed: Filed) -> None:
    """A proxy comes up with its toxics."""
    filed.write(proxy("a", toxics=[LATENCY]), proxy("b", enabled=False, protocol="http"))
    await filed.config.load()
    shown = await filed.shown()
    assert shown["a"]["toxics"][0]["attributes"] == {"jitter": 0, "latency": 1}
    assert (shown["b"]["enabled"], shown["b"]["protocol"]) == (False, "http")


async def test_a_bad_file_starts_nothing(filed: Filed) -> None:
    """One entry that is wrong, or one address that cannot be had, and no proxy is up."""
    filed.write(proxy("a"), proxy("b", upstream=7))
    with pytest.raises(ConfigError, match=r"toxiproxy\.json:10:15: json: cannot unmarshal number"):
        await filed.config.load()
    async with echo_server() as taken:
        filed.write(proxy("a"), proxy("b", listen=taken), proxy("c", listen="garbage"))
        with pytest.raises(ConfigAddressError) as failed:
            await filed.config.load()
        first, second = failed.value.problems
        assert first.endswith(f"json:9:14: listen tcp {taken}: bind: address already in use") or ":9:" in first
        assert second.endswith("listen tcp: address garbage: missing port in address")
    assert await filed.shown() == {}


async def test_two_entries_on_one_address_are_named(filed: Filed, free_port: int) -> None:
    """Each of the two is pointed at."""
    filed.write(proxy("a", listen=f"127.0.0.1:{free_port}"), proxy("b", listen=f"localhost:{free_port}"))
    with pytest.raises(ConfigAddressError, match=rf"127\.0\.0\.1:{free_port} is taken, see .*json:4:\d+"):
        await filed.config.load()


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on, below those that the system hands out."""
    import socket

    for port in range(21101, 21200):
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


async def test_lenient_starts_what_is_good(filed: Filed) -> None:
    """Wrong entries and addresses are passed over, the others are up."""
    filed.write(proxy("a"), proxy("b", upstream=7), proxy("c", listen="garbage"), proxy("d"))
    await filed.config.load_what_is_good()
    assert list(await filed.shown()) == ["a", "d"]
    filed.config.path.unlink()
    await filed.config.load_what_is_good()


async def test_strict_stops_at_the_first_bad_address(tmp_path: Path) -> None:
    """As 2.12: those before it are up, and toxics of a file mean nothing."""
    async with make_filed(tmp_path, Options(strict=True)) as filed:
        filed.write(proxy("a", toxics=[LATENCY]), proxy("b", listen="garbage"), proxy("c"))
        await filed.config.load_until_bad()
        shown = await filed.shown()
        assert (list(shown), shown["a"]["toxics"]) == (["a"], [])


async def test_a_reload_touches_only_what_changed(filed: Filed) -> None:
    """An unchanged proxy keeps its connections, its port and what the API did to it."""
    async with echo_server() as upstream:
        filed.write(proxy("same", upstream=upstream), proxy("moves", upstream=upstream), proxy("goes"))
        await filed.config.load()
        before = await filed.shown()
        await filed.api.ask("POST", "/proxies/same/toxics", LATENCY)
        await filed.api.ask("POST", "/proxies", proxy("api"))
        async with joined(before["same"]["listen"]) as kept, joined(before["moves"]["listen"]) as dropped:
            await kept.echo(b"x")
            await dropped.echo(b"x")
            filed.write(proxy("same", upstream=upstream), proxy("moves"), proxy("comes", toxics=[LATENCY]))
            status, done = await filed.api.ask("POST", "/chaos/reload")
            assert (status, done) == (
                200, {"created": ["comes"], "changed": ["moves"], "removed": ["goes"], "unchanged": ["same"]},
            )  # fmt: skip
            assert await kept.echo(b"still") == b"still"
            assert await dropped.ending() == "fin"
        after = await filed.shown()
    assert sorted(after) == ["api", "comes", "moves", "same"]
    assert after["same"]["listen"] == before["same"]["listen"]
    assert [one["name"] for one in after["same"]["toxics"]] == ["slow"]
    assert after["moves"]["upstream"] == "127.0.0.1:1"
    assert after["moves"]["listen"] == before["moves"]["listen"]


async def test_an_unchanged_file_changes_nothing_even_what_the_api_changed(filed: Filed) -> None:
    """Only a proxy that is gone comes back; one that was disabled by hand stays so."""
    filed.write(proxy("a"), proxy("b"))
    await filed.config.load()
    await filed.api.ask("POST", "/proxies/a", {"enabled": False})
    await filed.api.ask("DELETE", "/proxies/b")
    _, done = await filed.api.ask("POST", "/chaos/reload")
    assert (done["unchanged"], done["created"]) == (["a"], ["b"])
    assert not (await filed.shown())["a"]["enabled"]


async def test_toxics_change_on_live_connections(filed: Filed) -> None:
    """Those of the file come, change and go; the API's stay; connections live on."""
    async with echo_server() as upstream:
        other = {"type": "noop", "name": "other"}
        filed.write(proxy("a", upstream=upstream, toxics=[LATENCY, other]))
        await filed.config.load()
        listen = (await filed.shown())["a"]["listen"]
        await filed.api.ask("POST", "/proxies/a/toxics", {"type": "noop", "name": "mine"})
        async with joined(listen) as client:
            await client.echo(b"x")
            new = [{"type": "latency", "name": "slow", "attributes": {"jitter": 2}}, {"type": "noop", "name": "third"}]
            filed.write(proxy("a", upstream=upstream, toxics=new))
            assert (await filed.api.ask("POST", "/chaos/reload"))[1]["changed"] == ["a"]
            assert await client.echo(b"y") == b"y"
        toxics = {one["name"]: one for one in (await filed.shown())["a"]["toxics"]}
    assert sorted(toxics) == ["mine", "slow", "third"]
    assert toxics["slow"]["attributes"] == {"jitter": 2, "latency": 0}


async def test_two_proxies_may_swap_their_addresses(filed: Filed) -> None:
    """And a new name may take the address of one that goes."""
    filed.write(proxy("a"), proxy("b"), proxy("c"))
    await filed.config.load()
    at = {name: one["listen"] for name, one in (await filed.shown()).items()}
    filed.write(proxy("a", listen=at["b"]), proxy("b", listen=at["a"]), proxy("d", listen=at["c"]))
    status, _ = await filed.api.ask("POST", "/chaos/reload")
    assert status == 200
    assert {name: one["listen"] for name, one in (await filed.shown()).items()} == {
        "a": at["b"], "b": at["a"], "d": at["c"],
    }  # fmt: skip


async def test_an_address_that_its_proxy_keeps_is_not_free(filed: Filed) -> None:
    """A proxy whose upstream alone changes does not give its port away for the taking."""
    filed.write(proxy("a"))
    await filed.config.load()
    before = await filed.shown()
    filed.write(proxy("a", upstream="127.0.0.1:2"), proxy("b", listen=before["a"]["listen"]))
    status, error = await filed.api.ask("POST", "/chaos/reload")
    assert status == 400
    assert error["error"].endswith("bind: address already in use")
    assert await filed.shown() == before


async def test_a_bad_reload_changes_nothing(filed: Filed) -> None:
    """Neither a wrong file nor an address in use nor a name in use: all is as before, connections too."""
    async with echo_server() as upstream, echo_server() as taken:
        filed.write(proxy("a", upstream=upstream, toxics=[LATENCY]), proxy("b"))
        await filed.config.load()
        await filed.api.ask("POST", "/proxies/a/toxics", {"type": "noop", "name": "mine"})
        before = await filed.shown()
        async with joined(before["a"]["listen"]) as client:
            await client.echo(b"x")
            for entries, text in (
                ([proxy("a", upstream=7)], "cannot unmarshal number"),
                ([proxy("a"), proxy("c", listen=taken)], "address already in use"),
                ([proxy("a", upstream=upstream, toxics=[{"type": "noop", "name": "mine"}])], "through the API"),
                (["x"], "a proxy is an object"),
                ([proxy("a", toxics=[{**LATENCY, "match": "GET *"}])], "match needs a link whose messages"),
            ):
                filed.write(*entries)
                status, error = await filed.api.ask("POST", "/chaos/reload")
                assert status == 400
                assert text in error["error"]
                assert error["problems"][0].startswith(f"{filed.config.path}:")
            filed.config.path.unlink()
            assert "cannot be read: No such file" in (await filed.api.ask("POST", "/chaos/reload"))[1]["error"]
            assert await client.echo(b"still") == b"still"
        assert await filed.shown() == before


async def test_a_reload_is_an_event(filed: Filed) -> None:
    """With the names of what it touched."""
    filed.write(proxy("a"), proxy("b"))
    await filed.config.load()
    async with filed.api.events() as events:
        filed.write(proxy("a"), proxy("c"))
        await filed.config.reload()
        told = await events.until("config.reloaded")
    assert (told["created"], told["changed"], told["removed"]) == (["c"], [], ["b"])


async def test_a_server_without_a_file_says_so() -> None:
    """There is nothing to reload."""
    async with open_rig_api() as api:
        status, error = await api.ask("POST", "/chaos/reload")
    assert (status, error["error"]) == (400, "there is no config file to reload; start the proxy with -config FILE")


async def test_a_protocol_that_is_named_later_counts_from_then_on(filed: Filed) -> None:
    """A toxic that needs it may come with it, and connections live on."""
    async with echo_server() as upstream:
        filed.write(proxy("a", upstream=upstream))
        await filed.config.load()
        async with joined((await filed.shown())["a"]["listen"]) as client:
            await client.echo(b"x")
            filed.write(proxy("a", upstream=upstream, protocol="http", toxics=[{**LATENCY, "match": "GET *"}]))
            assert (await filed.api.ask("POST", "/chaos/reload"))[1]["changed"] == ["a"]
            assert await client.echo(b"y") == b"y"
        assert (await filed.shown())["a"]["protocol"] == "http"


async def test_a_name_that_the_api_made_is_taken_over(filed: Filed) -> None:
    """The file's word counts from then on; what agrees already is not touched."""
    _, made = await filed.api.ask("POST", "/proxies", proxy("a"))
    filed.write(proxy("a", listen=made["listen"]))
    await filed.config.reload()
    assert await probe_connect(made["listen"]) == "accepted"
    filed.write()
    assert (await filed.config.reload()).removed == ("a",)
    assert await probe_connect(made["listen"]) == "refused"
