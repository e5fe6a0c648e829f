"""What `init` finds out: a compose file, names in .env, ports that are listened on. Nothing it reads can hurt or leak."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from chaos.engine.init_compose import Published, read_compose
from chaos.engine.init_hints import COMPOSE_FILES, find_hints, listening_ports, variable_names

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def table(*rows: tuple[str, str, str]) -> str:
    """A table as the kernel prints it: address and port in hex, state."""
    return HEAD + "".join(
        f"   {at}: {host}:{port} 00000000:0000 {state} 00000000:00000000\n"
        for at, (host, port, state) in enumerate(rows)
    )


def test_only_what_listens_here_counts(tmp_path: Path) -> None:
    """Loopback and every interface, both families; no connections, no other addresses, no damaged rows."""
    (tmp_path / "tcp").write_text(
        table(
            ("0100007F", "1538", "0A"),
            ("00000000", "1F40", "0A"),
            ("0100007F", "1F41", "01"),
            ("0A01A8C0", "1F42", "0A"),
            ("zz", "1F43", "0A"),
        )
        + "short\n"
    )
    (tmp_path / "tcp6").write_text(table(("0" * 24 + "01000000", "107E", "0A"), ("0" * 32, "18EB", "0A")))
    assert set(listening_ports(tmp_path)) == {5432, 8000, 4222, 6379}
    assert set(listening_ports(tmp_path / "nowhere")) == set()


@pytest.mark.skipif(
    not Path("/proc/net/tcp").exists(), reason="needs /proc/net/tcp (Linux), which shows every socket of the machine"
)
def test_a_real_listener_is_found() -> None:
    """One of this test's own."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert server.getsockname()[1] in set(listening_ports(Path("/proc/net")))


def test_of_an_env_file_only_names_are_taken() -> None:
    """Each once, with or without `export`; comments, blanks and odd lines are none."""
    text = "A=1\nexport B_2 = x\n# C=1\n\nA=2\n9X=1\nno equals\nLONG" + "G" * 200 + "=1\n"
    assert variable_names(text) == ("A", "B_2")


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("8000:80", [(8000, 80)]),
        ("127.0.0.1:8001:80/tcp", [(8001, 80)]),
        ("'[::1]:8002:80'", [(8002, 80)]),
        ("${PORT:-8003}:80", [(8003, 80)]),
        ("{published: '8004', target: 80}", [(8004, 80)]),
        ("{published: '${P:-8005}', target: 80, protocol: udp}", []),
        ("53:53/udp", []),
        ("3000", []),
        ("3000-3005:3000-3005", []),
        ("${PORT}:80", []),
        ("99999:80", []),
        ("0:80", []),
        ("{target: 80}", []),
        ("[1, 2]", []),
    ],
)
def test_ports_of_every_form(written: str, found: list[tuple[int, int]]) -> None:
    """A fixed TCP port of this machine counts, whatever its notation; everything else is left out."""
    (service,) = read_compose(f"services:\n  a:\n    ports:\n      - {written}\n")
    assert service.published == tuple(Published(outer=outer, inner=inner) for outer, inner in found)


def test_who_calls_whom_is_read_from_both_places() -> None:
    """`depends_on` as a list or a mapping, and hosts named in variables, of which only the names are kept."""
    api, _, worker = read_compose(
        """
x-all: &all {depends_on: [db]}
services:
  api:
    build: .
    image: built/anyway
    depends_on: {db: {condition: service_healthy}, nobody: {}}
    environment: {DATABASE_URL: "postgres://u:hunter22@db:5432/x", OTHER: dbs, SELF: "http://api", LIST: "http://x,db"}
  db: {image: postgres}
  worker: {<<: *all, environment: ["DB_HOST=db", "EMPTY", "1X=db"]}
"""
    )
    assert (api.image, api.calls) == ("", {"db": ("DATABASE_URL", "LIST")})
    assert worker.calls == {"db": ("DB_HOST",)}
    assert "hunter22" not in repr(api)


@pytest.mark.parametrize(
    "text",
    [
        "services: [",
        "a: &a [*a, *a]\nb: {<<: [*a, *a]}" * 50,
        "[" * 20_000,
        "services: !!python/object/apply:os.system [echo]\n---\n",
        "\x00",
    ],
)
def test_what_is_no_yaml_is_a_note(text: str, tmp_path: Path) -> None:
    """Broken, endless, nested or armed: nothing is raised, nothing happens, and the note says that the file is not used."""
    (tmp_path / "compose.yaml").write_text(text)
    hints = find_hints(tmp_path, proc=tmp_path)
    assert (hints.compose, hints.services) == ("", ())
    assert hints.notes[0].startswith("compose.yaml is not used: ")


def test_merges_that_grow_without_end_stay_small() -> None:
    """A million laughs by merge keys: read at once."""
    lines = ["a0: &a0 {image: x}"] + [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 12)]
    (service,) = read_compose("\n".join([*lines, "services: {s: *a11}"]))
    assert service.name == "s"


def test_files_are_found_in_the_order_of_docker(tmp_path: Path) -> None:
    """compose.yaml first; one that is too big is not read."""
    for name in reversed(COMPOSE_FILES):
        (tmp_path / name).write_text("services: {a: {image: nats}}")
        assert find_hints(tmp_path, proc=tmp_path).compose == name
    (tmp_path / "compose.yaml").write_text("#" * 300_000)
    assert find_hints(tmp_path, proc=tmp_path).notes == ("compose.yaml is not used: it is over 200 KB",)


def test_without_services_a_compose_file_says_nothing(tmp_path: Path) -> None:
    """An empty one, or one of something else."""
    for text in ("", "volumes: {}", "services: text", "just text"):
        (tmp_path / "compose.yaml").write_text(text)
        hints = find_hints(tmp_path, proc=tmp_path)
        assert (hints.compose, hints.notes) == ("", ("compose.yaml is not used: it has no services",))
