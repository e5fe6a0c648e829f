"""No credential of the environment, and none of the run's own, stands in any file of a run or on the screen."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.drills.running import Result, start_drill

pytestmark = [pytest.mark.drill, pytest.mark.xdist_group("drill"), pytest.mark.timeout(180)]

CANARIES = {
    "OPENAI_API_KEY": "sk-canary-4f1d0c7be2a94d",
    "POSTGRES_PASSWORD": "canary/pa ss+word=77",
    "MY_SERVICE_TOKEN": "canary.token.value.31337",
    "DATABASE_URL": "postgres://svc:canary-dsn-pw-5512@db.example/app",
}


def traces_of(secret: str, result: Result) -> list[str]:
    """Where a secret stands, in any of the forms it takes in text."""
    forms = {secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode().rstrip("=")}
    found = [f"screen: {form}" for form in forms if form in result.screen]
    for path in result.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            found += [f"{path.name}: {form}" for form in forms if form.encode() in content]
    return found


def test_no_secret_in_files_or_on_the_screen(tmp_path: Path) -> None:
    """Canaries in the environment, and the credentials that the run made for itself, are in no file and not on the screen."""
    with start_drill("smoke", "--defect", "generic-500", out=tmp_path, env=CANARIES) as drill:
        agent = drill.pid_of("agent")
        own = {
            value.split("=", 1)[1]
            for value in Path(f"/proc/{agent}/environ").read_text().split("\0")
            if value.startswith(("POSTGRES_DSN=", "NATS_URL="))
        }
        provider = Path(f"/proc/{drill.pid_of('provider')}/environ").read_text().split("\0")
        own |= {value.split("=", 1)[1] for value in provider if value.startswith(("PROVIDER_API_KEY=", "DIGEST_KEY="))}
        arguments = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        result = drill.finish()
    assert len(own) == 4
    passwords = own | {dsn.split(":", 2)[2].split("@")[0] for dsn in own if "://" in dsn}
    assert not [secret for secret in passwords if secret in arguments], "a credential stands on a command line"
    for secret in passwords | set(CANARIES.values()) | {"canary-dsn-pw-5512"}:
        assert traces_of(secret, result) == []


TALKER = """
import os, socket, sys
sys.stdout.write("connecting with " + os.environ["TOKEN"][:9]); sys.stdout.flush()
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
sys.stdout.write(os.environ["TOKEN"][9:] + "\\n"); sys.stdout.flush()
while True: server.accept()[0].close()
"""
DRILL = """
name: talks
system:
  services:
    talker: {command: "{python} talker.py {port}", protocol: tcp, env: {TOKEN: "${CHAOS_TEST_WORD}"}}
workloads:
  - {kind: tcp, to: talker, rate: 5/s, operations: {ask: {script: [{expect: x}]}}}
timeline:
  faults: [{fault: latency, on: driver>talker, for: 2s, latency: 20ms}]
"""


def test_no_secret_in_the_logs_of_a_run_that_was_killed(tmp_path: Path) -> None:
    """Nobody comes to scrub them: what a service prints must not reach the disk at all."""
    (tmp_path / "talker.py").write_text(TALKER)
    (tmp_path / "drill.yaml").write_text(DRILL)
    canary = "canary-of-no-known-name-5512"
    with start_drill(str(tmp_path / "drill.yaml"), out=tmp_path / "out", env={"CHAOS_TEST_WORD": canary}) as drill:
        drill.wait_for("PhaseStarted", phase="baseline")
        drill.process.kill()
        drill.process.wait()
        assert drill.folder is not None
        logs = {path.name: path.read_text() for path in (drill.folder / "logs").iterdir()}
    assert logs["talker.log"] == "connecting with [redacted]\n"
    assert not [name for name, text in logs.items() if "canary" in text]
