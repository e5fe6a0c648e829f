"""Starting in any order and stopping in time, whatever the dependencies do."""

from __future__ import annotations

import os
import subprocess
import sys

import httpx
import pytest

from tests.reference.rig import LINKS, Backend, Op, Post, envelope


def test_sigterm_ends_every_service_cleanly(own: Backend) -> None:
    """A service at rest stops with exit code 0, without leaving anything hanging."""
    own.start()
    assert {name: service.stop() for name, service in own.services.items()} == dict.fromkeys(LINKS, 0)
    logs = [service.log.read_text() for service in own.services.values()]
    assert not [line for log in logs for line in log.splitlines() if "hangs" in line or "Traceback" in line]


@pytest.mark.parametrize("mode", ["mute", "hang", "refuse"])
async def test_sigterm_ends_a_service_whose_dependencies_hang(own: Backend, mode: str) -> None:
    """With requests in flight towards silent dependencies a service still exits by itself, with 0."""
    own.start(CALL_TIMEOUT_MS="60000", DB_TIMEOUT_MS="60000")
    for link in own.links.values():
        link.fault(mode)
    async with httpx.AsyncClient(trust_env=False, timeout=1) as client:
        body = envelope("task", tenant="acme", task="something", query="anything")
        try:
            await client.post(own.url("agent") + "/v1/tasks", content=body, headers=Op(60_000).headers)
        except httpx.TimeoutException:
            assert mode != "refuse"
    for service in own.services.values():
        service.process.terminate()
    assert [service.process.wait(15) for service in own.services.values()] == [0] * len(LINKS)


async def test_a_service_waits_for_its_dependencies(own: Backend, post: Post, op: Op) -> None:
    """Started before Postgres and NATS can be reached, a service says what it waits for, and becomes ready."""
    for link in ("agent>postgres", "agent>nats"):
        own[link].fault("refuse")
    own.start("provider", "gateway", "rag")
    own.spawn("agent")
    health = await own.health("agent")
    assert health.status_code == 503
    assert health.json() == {"status": "starting", "waiting_for": ["postgres", "nats"]}
    body = envelope("task", tenant="acme", task="something", query="anything")
    answer = await post(own, "agent", "/v1/tasks", body, op)
    assert (answer.status_code, answer.json()["dependency"]) == (503, "postgres")
    own.heal()
    own.wait_ready("agent")
    assert (await post(own, "agent", "/v1/tasks", body, op)).status_code == 200


def test_no_secret_in_any_log(own: Backend) -> None:
    """Neither keys nor passwords appear in what the services write, also when nothing can be reached."""
    own.start()
    for link in own.links.values():
        link.fault("refuse")
    for name in ("agent", "rag"):
        own.services[name].stop()
        own.spawn(name)
    for service in own.services.values():
        service.stop()
    logs = "".join(service.log.read_text() for service in own.services.values())
    secrets = [own.api_key, own.digest_key, own.postgres.password.reveal(), own.nats_server.password.reveal()]
    assert logs
    assert not [secret for secret in secrets if secret in logs]


@pytest.mark.parametrize(
    ("arguments", "variables", "told"),
    [
        ([], {}, "usage"),
        (["nobody"], {}, "usage"),
        (["provider"], {}, "provider needs PROVIDER_API_KEY, DIGEST_KEY"),
        (["api"], {"LISTEN_PORT": "http"}, "LISTEN_PORT must be"),
        (["api"], {"NAMESPACE": "Ref; drop"}, "NAMESPACE must be"),
        (["api"], {"CHAOS_DEFECTS": "typo"}, "no defect called typo; known: "),
    ],
)
def test_wrong_settings_are_refused(arguments: list[str], variables: dict[str, str], told: str) -> None:
    """A call or an environment that cannot be served ends with 2 and one line that names what is wrong."""
    argv = [sys.executable, "-m", "chaos.reference", *arguments]
    ended = subprocess.run(
        argv, check=False, env={"PATH": os.environ["PATH"], **variables}, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 2
    assert told in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
