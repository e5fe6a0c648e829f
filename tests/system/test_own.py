"""A system of one's own: its services are told what they asked for, in the form they asked for, and nothing is started twice."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from pathlib import Path
from typing import cast

import pytest

from chaos.errors import NotReadyError
from chaos.model.link import Protocol
from chaos.model.system import ReadyWhen, ServiceModel, SystemModel, Upstream, Variables
from chaos.system.children import Children, open_children
from chaos.system.local import LocalSystem
from chaos.system.own import OwnWiring, own_services
from chaos.system.ports import Address
from chaos.system.scratch import make_scratch
from chaos.system.wiring import Credentials

TELL = """
import http.server, json, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"env": dict(os.environ), "argv": sys.argv[1:], "cwd": os.getcwd()}).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *args): pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def model(folder: Path, **more: object) -> SystemModel:
    """One service that tells what it was told."""
    service = ServiceModel(
        name="teller",
        command=("{python}", "teller.py", "--port", "{port}", "{cache.host}"),
        ready=ReadyWhen(kind="http", value="/"),
        listen="PORT",
        env={"CACHE": "redis://{cache.host}:{cache.port}", "KEY": "${SECRET_KEY}"},
        calls={"nats": Variables(url="NATS"), "cache": Variables(host="C_HOST", port="C_PORT")},
    )
    return SystemModel(
        services=(service,),
        stores={"nats": "local"},
        upstreams={"cache": Upstream(address="127.0.0.1:6379", protocol=Protocol.TCP)},
        folder=str(folder),
        **more,  # type: ignore[arg-type]
    )


async def _get(address: Address) -> dict[str, object]:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    body = (await reader.read()).partition(b"\r\n\r\n")[2]
    writer.close()
    told: dict[str, object] = json.loads(body)
    return told


async def test_a_service_is_told_its_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the variables it names: URL, host, port; its own port, the command's holes, and a variable of ours."""
    monkeypatch.setenv("SECRET_KEY", "not-for-the-record")
    (tmp_path / "teller.py").write_text(TELL)
    logs = tmp_path / "logs"
    async with open_children(make_scratch("test"), logs) as children:
        with LocalSystem(children, logs, own=model(tmp_path)) as system:
            upstreams = system.reserve()
            assert set(upstreams) == {"teller", "nats", "cache"}
            listeners = {"teller>nats": Address("127.0.0.1", 4001), "teller>cache": Address("127.0.0.1", 4002)}
            await system.start(listeners)
            told = await _get(upstreams["teller"])
            assert {child.name for child in children.living} == {"teller", "nats"}
            assert "not-for-the-record" in system.secrets()
    env = told["env"]
    assert isinstance(env, dict)
    assert env["NATS"].startswith("nats://chaos:")
    assert env["NATS"].endswith("@127.0.0.1:4001")
    assert (env["C_HOST"], env["C_PORT"], env["CACHE"]) == ("127.0.0.1", "4002", "redis://127.0.0.1:4002")
    assert (env["KEY"], env["PORT"]) == ("not-for-the-record", str(upstreams["teller"].port))
    assert told["argv"] == ["--port", str(upstreams["teller"].port), "127.0.0.1"]
    assert told["cwd"] == str(tmp_path)
    assert "HOSTNAME" not in env


async def test_a_variable_that_is_not_set_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the service is started, with what to do."""
    monkeypatch.delenv("SECRET_KEY", raising=False)
    logs = tmp_path / "logs"
    async with open_children(make_scratch("test"), logs) as children:
        with (
            LocalSystem(children, logs, own=model(tmp_path)) as system,
            pytest.raises(NotReadyError, match="teller needs the variable SECRET_KEY, which is not set: export it"),
        ):
            await system.start({})


async def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    """With who insists on it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        service = ServiceModel(name="web", command=(sys.executable,), ready=ReadyWhen(kind="tcp"), port=port)
        logs = tmp_path / "logs"
        async with open_children(make_scratch("test"), logs) as children:
            own = SystemModel(services=(service,))
            text = f"web insists on port {port}, which is taken"
            with LocalSystem(children, logs, own=own) as system, pytest.raises(NotReadyError, match=text):
                system.reserve()


def test_a_service_may_be_called_like_a_part_of_ours(tmp_path: Path) -> None:
    """The port of the NATS server's monitor is no service's."""
    service = ServiceModel(name="nats-monitor", command=("x",), ready=ReadyWhen(kind="tcp"))
    own = SystemModel(services=(service,), stores={"nats": "local"})
    with LocalSystem(cast("Children", None), tmp_path, own=own) as system:
        assert set(system.reserve()) == {"nats", "nats-monitor"}


def test_a_store_by_url_keeps_its_credentials() -> None:
    """Only host and port are those of the link; the password is a secret of the run."""
    own = SystemModel(stores={"postgres": "postgresql://app:p%40ss-word@db.example:5433/shop?sslmode=disable"})
    wiring = OwnWiring(model=own, credentials=Credentials(), surroundings={})
    parts = wiring.parts("postgres", Address("127.0.0.1", 4003))
    assert parts["url"] == "postgresql://app:p%40ss-word@127.0.0.1:4003/shop?sslmode=disable"
    assert (parts["user"], parts["password"], parts["database"]) == ("app", "p@ss-word", "shop")
    assert list(wiring.secrets()) == ["p%40ss-word"]


def test_a_password_from_a_variable_is_the_password(tmp_path: Path) -> None:
    """Whatever characters it has: encoded in the URL, itself everywhere else, and nothing in it is filled in again."""
    password = "p@ss/w#rd?{port}${HOME}"
    service = ServiceModel(
        name="shop",
        command=("run", "{postgres.password}", "${PW}"),
        ready=ReadyWhen(kind="tcp"),
        calls={"postgres": Variables(url="URL")},
    )
    own = SystemModel(
        services=(service,), stores={"postgres": "postgres://app:${PW}@db.example/shop"}, folder=str(tmp_path)
    )
    wiring = OwnWiring(model=own, credentials=Credentials(), surroundings={"PW": password})
    listeners = {"shop>postgres": Address("127.0.0.1", 4003)}
    upstreams = {"shop": Address("127.0.0.1", 4004)}
    fitted = wiring.fit(own_services(own)[0], upstreams, listeners)
    assert fitted.argv == ("run", password, password)
    assert fitted.env["URL"] == "postgres://app:p%40ss%2Fw%23rd%3F%7Bport%7D%24%7BHOME%7D@127.0.0.1:4003/shop"
    assert set(wiring.secrets()) >= {password}


@pytest.mark.parametrize(
    ("store", "url", "secrets"),
    [
        ("postgres", "postgres://app:s3cret-word@127.0.0.1/db", ["s3cret-word"]),
        ("postgres", "postgres://app@127.0.0.1/db?password=s3cret-word", ["s3cret-word"]),
        ("postgres", "postgres://app@127.0.0.1/db", []),
        ("nats", "nats://t0ken-of-nats@127.0.0.1:4222", ["t0ken-of-nats"]),
        ("nats", "nats://127.0.0.1:4222", []),
    ],
)
def test_credentials_are_secrets_wherever_a_url_has_them(store: str, url: str, secrets: list[str]) -> None:
    """Passwords, tokens in their place, parameters; a mere user name is none."""
    wiring = OwnWiring(model=SystemModel(stores={store: url}), credentials=Credentials(), surroundings={})
    assert list(wiring.secrets()) == secrets
