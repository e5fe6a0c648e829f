"""A Docker engine of this machine and its compose, where there are such, and an image that is made of this machine's own programs."""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["SYSTEM_FOLDERS", "USER", "composed", "find_compose", "gateway", "imported"]

USER = os.getuid() or 65534
"""Who runs what must not run as root in a container."""

_ROOT_LINKS = [Path("/", name) for name in ("bin", "sbin", "lib", "lib64") if Path("/", name).is_symlink()]
SYSTEM_FOLDERS = ["/usr", *(f"/{name}" for name in ("bin", "sbin", "lib", "lib64") if Path("/", name).is_dir() and not Path("/", name).is_symlink())]  # fmt: skip
"""What a program of this machine needs of it; to be mounted, read only, into a container of that image."""

_WITHIN_S = 60.0


def find_compose() -> list[str]:
    """The compose command; skips the test, naming what is missing, where no container can be had."""
    if sys.platform != "linux":
        pytest.skip("containers that run this machine's programs need Linux")
    if shutil.which("docker") is None:
        pytest.skip("no `docker` on PATH: install a Docker engine with its client")
    if not os.environ.get("DOCKER_HOST", "unix://").startswith("unix://"):
        pytest.skip(
            "DOCKER_HOST leads to an engine that is reached over a network; unset it to use one of this machine"
        )
    engine = _docker("info", "--format", "{{.ServerVersion}}")
    if engine.returncode:
        pytest.skip(f"no Docker engine answers: start one ({(engine.stderr or engine.stdout).strip()[:200]})")
    if _docker("compose", "version").returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose") is None:
        pytest.skip("a Docker engine, but no `docker compose` and no `docker-compose`: install one of them")
    return ["docker-compose"]


def gateway() -> str:
    """The address under which containers reach this machine; skips the test where nobody can listen there."""
    told = _docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}")
    try:
        with socket.create_server((told.stdout.strip(), 0)) as server:
            return str(server.getsockname()[0])
    except OSError as error:
        pytest.skip(
            f"the engine's bridge ({told.stdout.strip() or told.stderr.strip()}) is not on this machine: {error}"
        )


@contextmanager
def imported(name: str) -> Iterator[str]:
    """An image without any program, made on the spot; removed afterwards."""
    made = subprocess.run(
        ["docker", "import", "-", name], input=_tree(), capture_output=True, timeout=_WITHIN_S, check=False
    )
    assert made.returncode == 0, made.stderr
    try:
        yield name
    finally:
        _docker("image", "rm", "--force", name)


@contextmanager
def composed(command: list[str], project: str, files: list[Path], env: Mapping[str, str]) -> Iterator[None]:
    """The services of these files, up; taken down whatever happens."""
    argv = [*command, "--project-name", project, *(word for file in files for word in ("--file", str(file)))]

    def compose(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*argv, *words], env={**os.environ, **env}, capture_output=True, text=True, timeout=_WITHIN_S, check=False
        )

    try:
        up = compose("up", "--detach")
        assert up.returncode == 0, up.stderr
        yield
    except BaseException:
        sys.stderr.write(compose("logs", "--tail", "20").stdout)
        raise
    finally:
        down = compose("down", "--volumes", "--timeout", "2")
    assert down.returncode == 0, down.stderr


def _docker(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *words], capture_output=True, text=True, timeout=_WITHIN_S, check=False)


def _tree() -> bytes:
    """The skeleton of a file system, as a tar: folders, the links at its root, and two users."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name in ("usr", "etc", "proc", "sys", "dev", "tmp"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(folder)
        for path in _ROOT_LINKS:
            link = tarfile.TarInfo(path.name)
            link.type, link.linkname = tarfile.SYMTYPE, str(path.readlink())
            tar.addfile(link)
        users = f"root:x:0:0::/:/bin/sh\nsomebody:x:{USER}:{USER}::/tmp:/bin/sh\n".encode()
        passwd = tarfile.TarInfo("etc/passwd")
        passwd.size = len(users)
        tar.addfile(passwd, io.BytesIO(users))
    return content.getvalue()
