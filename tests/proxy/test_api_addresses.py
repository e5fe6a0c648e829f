"""Unix sockets and IPv6, for proxies, their upstreams and the API itself."""

from __future__ import annotations

import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.links import connect_embedded, probe_connect
from chaos.proxy import Options
from tests.proxy.api_rig import Api, echo_server, joined, open_rig_api


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path: that of a unix socket holds some hundred bytes."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as path:
        yield Path(path)


async def make(api: Api, listen: str, upstream: str, name: str = "a") -> tuple[int, dict[str, str]]:
    """Create a proxy; the answer."""
    return await api.ask("POST", "/proxies", {"name": name, "listen": listen, "upstream": upstream})


async def test_bytes_pass_from_unix_socket_to_unix_socket(folder: Path) -> None:
    """Both sides may be paths; deleted, the proxy takes its file along."""
    listen = f"unix:{folder}/front.sock"
    async with open_rig_api() as api, echo_server(path=f"{folder}/back.sock") as upstream:
        status, proxy = await make(api, listen, upstream)
        assert (status, proxy["listen"], proxy["upstream"]) == (201, listen, upstream)
        async with joined(listen) as client:
            assert await client.echo(b"hello" * 20_000) == b"hello" * 20_000
            _, (shown,) = await api.ask("GET", "/chaos/connections")
            assert shown["client"] == "unix:"
        await api.ask("DELETE", "/proxies/a")
    assert not (folder / "front.sock").exists()


async def test_unix_and_tcp_join(folder: Path) -> None:
    """A path in front of a port, and a port in front of a path."""
    async with open_rig_api() as api, echo_server() as port, echo_server(path=f"{folder}/b") as path:
        _, one = await make(api, f"unix:{folder}/a", port, "one")
        _, two = await make(api, "127.0.0.1:0", path, "two")
        for proxy in (one, two):
            async with joined(proxy["listen"]) as client:
                assert await client.echo(b"x" * 1000) == b"x" * 1000


async def test_a_stale_socket_file_is_replaced(folder: Path) -> None:
    """A file that a dead process left behind is in nobody's use."""
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(f"{folder}/s")
    stale.close()
    async with open_rig_api() as api, echo_server() as upstream:
        assert (await make(api, f"unix:{folder}/s", upstream))[0] == 201
        assert await probe_connect(f"unix:{folder}/s") == "accepted"


async def test_a_path_in_use_is_left_alone(folder: Path) -> None:
    """Whether somebody listens there or it is no socket at all: refused in Go's words, and nothing is touched."""
    (folder / "file").write_text("mine")
    async with open_rig_api() as api, echo_server(path=f"{folder}/s") as served:
        for path in ("s", "file"):
            status, error = await make(api, f"unix:{folder}/{path}", "127.0.0.1:1")
            assert (status, error["error"]) == (500, f"listen unix {folder}/{path}: bind: address already in use")
        async with joined(served) as client:
            assert await client.echo(b"still") == b"still"
    assert (folder / "file").read_text() == "mine"


async def test_a_path_that_cannot_be_is_refused(folder: Path) -> None:
    """Too long, in no folder, with a zero byte: an error of the request and no more."""
    async with open_rig_api() as api:
        for path in (f"{folder}/{'x' * 200}", f"{folder}/none/s", "/tmp/a\x00b"):
            status, error = await make(api, f"unix:{path}", "127.0.0.1:1")
            assert (status, error["error"].startswith("listen unix ")) == (500, True)


async def test_a_refusing_path_stays_ours_and_serves_again(folder: Path) -> None:
    """While it is refused connects are refused, the file stays; then the same path serves."""
    listen = f"unix:{folder}/s"
    async with open_rig_api() as api, echo_server() as upstream:
        await make(api, listen, upstream)
        await api.ask("POST", "/proxies/a/toxics", {"type": "refuse", "name": "gone"})
        assert await probe_connect(listen) == "refused"
        assert stat.S_ISSOCK((folder / "s").stat().st_mode)
        await api.ask("DELETE", "/proxies/a/toxics/gone")
        async with joined(listen) as client:
            assert await client.echo(b"back") == b"back"
        await api.ask("POST", "/proxies/a", {"enabled": False})
        assert not (folder / "s").exists()
        await api.ask("POST", "/proxies/a", {"enabled": True})
        assert await probe_connect(listen) == "accepted"


async def test_the_same_path_again_is_no_change(folder: Path) -> None:
    """An update that names the present path keeps the connections, another one moves the proxy."""
    async with open_rig_api() as api, echo_server() as upstream:
        await make(api, f"unix:{folder}/s", upstream)
        async with joined(f"unix:{folder}/s") as client:
            await client.echo(b"x")
            await api.ask("POST", "/proxies/a", {"listen": f"unix:{folder}/s"})
            assert await client.echo(b"y") == b"y"
            _, moved = await api.ask("POST", "/proxies/a", {"listen": f"unix:{folder}/t"})
            assert moved["listen"] == f"unix:{folder}/t"
            assert await client.ending() == "fin"
        assert not (folder / "s").exists()


async def test_a_file_that_somebody_else_put_there_is_not_removed(folder: Path) -> None:
    """What lies on the path when the proxy goes may be another server's by then."""
    async with open_rig_api() as api, echo_server() as upstream:
        await make(api, f"unix:{folder}/s", upstream)
        (folder / "s").unlink()
        (folder / "s").write_text("mine")
        await api.ask("DELETE", "/proxies/a")
    assert (folder / "s").read_text() == "mine"


async def test_strict_knows_no_unix_sockets(folder: Path) -> None:
    """As with 2.12, such a text is an address that does not resolve."""
    async with open_rig_api(Options(strict=True)) as api:
        assert (await make(api, f"unix:{folder}/s", "127.0.0.1:1"))[0] == 500


async def test_ipv6_everywhere() -> None:
    """API, listener, upstream and control plane over ::1."""
    async with open_rig_api(host="::1") as api, echo_server("::1") as upstream:
        status, proxy = await make(api, "[::1]:0", upstream)
        assert status == 201
        assert proxy["listen"].startswith("[::1]:")
        async with joined(proxy["listen"]) as client:
            assert await client.echo(b"six") == b"six"
            _, (shown,) = await api.ask("GET", "/chaos/connections")
            assert shown["client"].startswith("[::1]:")
        async with connect_embedded(str(api.client.base_url)) as control:
            assert await control.now_ns() > 0
            assert "[::1]:" in repr(control)
        assert await probe_connect(proxy["listen"]) == "accepted"
