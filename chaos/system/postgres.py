"""A throw-away Postgres 18 with pgvector from the wheel: loopback TCP only, random passwords, gone with the run.

Only the wheel's programs are used. Its `get_server()` listens on a unix socket only, survives its starter, and as root
adds a user and changes the modes of parent directories.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chaos.errors import NotReadyError
from chaos.system.accounts import unprivileged_account
from chaos.system.binaries import postgres_bin
from chaos.system.child import Child, ChildSpec, log_tail
from chaos.system.environment import minimal_environment
from chaos.system.ports import Address, PortHold
from chaos.system.readiness import wait_until
from chaos.system.secret import Secret, random_secret

if TYPE_CHECKING:
    from chaos.system.children import Children

__all__ = ["PostgresServer", "role_dsn", "start_postgres", "wait_accepting"]

ADMIN = "chaos_admin"
ROLE = "chaos"
DATABASE = "chaos"
INITDB_DEADLINE_S = 60.0
READY_DEADLINE_S = 30.0
STATEMENT_DEADLINE_S = 10.0

_SETTINGS = {
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "32MB",
    # In PGDATA, not in /dev/shm, so that removing the scratch directory removes it.
    "dynamic_shared_memory_type": "mmap",
    # Its data is worth nothing after the run; what is drilled is the service, not the disk.
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    # PGDATA lives in memory: the log must stay small in a long run.
    "max_wal_size": "64MB",
    "min_wal_size": "32MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # No processes that nobody needs.
    "max_logical_replication_workers": "0",
    "io_method": "sync",
    "jit": "off",
    # 128 random bits need no stretching, and each connection of a pool pays for it.
    "scram_iterations": "16",
    "log_connections": "on",  # evidence of connections that bypass the proxy
    "log_timezone": "UTC",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PostgresServer:
    """A running server. `dsn` leads to it directly; `dsn_through` leads through a proxy's listener."""

    child: Child
    address: Address
    password: Secret
    admin_password: Secret

    @property
    def dsn(self) -> Secret:
        """DSN of the application's role, direct."""
        return self.dsn_through(self.address)

    @property
    def admin_dsn(self) -> Secret:
        """DSN of the superuser, direct: for read-back and the bypass check, never for a service."""
        return _dsn(ADMIN, self.admin_password, self.address)

    def dsn_through(self, address: Address) -> Secret:
        """DSN of the application's role by way of `address`."""
        return role_dsn(self.password, address)


def role_dsn(password: Secret, address: Address) -> Secret:
    """DSN of the application's role at `address`."""
    return _dsn(ROLE, password, address)


def _dsn(user: str, password: Secret, address: Address) -> Secret:
    return Secret(f"postgres://{user}:{password.reveal()}@{address}/{DATABASE}")


async def start_postgres(
    children: Children,
    hold: PortHold,
    log: Path,
    *,
    password: Secret | None = None,
    admin_password: Secret | None = None,
) -> PostgresServer:
    """Make a cluster in the run's scratch directory, start it on the held port, make role, database and pgvector.

    Raises NotReadyError, naming the log, if a step fails or takes too long.
    """
    password = password or random_secret()
    admin_password = admin_password or random_secret()
    account = unprivileged_account()
    programs = postgres_bin(account)
    home = children.scratch.make("pg", account)
    base = ChildSpec(
        name="postgres",
        argv=(str(programs / "postgres"), "-D", str(home / "data")),
        log=log,
        # With TZ set initdb need not search for the machine's zone.
        env={**minimal_environment(), "TZ": "UTC", "LC_ALL": "C"},
        cwd=home,
        stop_signal="INT",
        account=account,
    )
    await _initdb(children, base, programs, hold.address, admin_password)
    hold.hand_over()
    child = await children.start(base)
    server = PostgresServer(child=child, address=hold.address, password=password, admin_password=admin_password)
    await wait_accepting(server)
    await _prepare(server)
    return server


async def _initdb(children: Children, base: ChildSpec, programs: Path, address: Address, password: Secret) -> None:
    home = base.cwd
    assert home is not None
    password_file = home / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(password.reveal())
    if base.account is not None:
        os.chown(password_file, base.account.uid, base.account.gid)
    settings = {**_SETTINGS, "listen_addresses": address.host, "port": str(address.port)}
    argv = [str(programs / "initdb"), "-D", str(home / "data"), "-U", ADMIN, "-A", "scram-sha-256"]
    argv += [f"--pwfile={password_file}", "--no-sync", "--no-instructions", "-E", "UTF8", "--no-locale"]
    # What tells whose shared memory is whose has to stay when initdb is interrupted.
    argv += ["--no-clean"]
    argv += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    argv += [f"--set={name}={value}" for name, value in settings.items()]
    initdb = await children.start(dataclasses.replace(base, name="initdb", argv=tuple(argv), stop_signal="TERM"))
    initdb.expect_exit()
    import asyncpg  # noqa: F401 - a tenth of a second that passes while initdb works

    ended = await _wait_initdb(initdb)
    password_file.unlink()
    if ended != 0:
        raise NotReadyError(f"initdb failed with exit code {ended}; its log is {base.log}:\n{log_tail(base.log)}")


async def _wait_initdb(initdb: Child) -> int | None:
    try:
        async with asyncio.timeout(INITDB_DEADLINE_S):
            return (await initdb.wait()).code
    except TimeoutError:
        raise NotReadyError(f"initdb did not finish within {INITDB_DEADLINE_S:g} s; its log is {initdb.log}") from None


async def _connect(user: str, password: Secret, address: Address, database: str) -> Any:
    import asyncpg

    return await asyncpg.connect(
        host=address.host,
        port=address.port,
        user=user,
        password=password.reveal(),
        database=database,
        ssl=False,
        timeout=STATEMENT_DEADLINE_S,
        command_timeout=STATEMENT_DEADLINE_S,
    )


async def wait_accepting(server: PostgresServer, deadline_s: float = READY_DEADLINE_S) -> None:
    """Wait until the superuser can log in (after a start or a restart)."""
    import asyncpg

    async def accepts() -> bool:
        try:
            connection = await _connect(ADMIN, server.admin_password, server.address, "postgres")
        except asyncpg.CannotConnectNowError:  # "the database system is starting up"
            return False
        await connection.close(timeout=STATEMENT_DEADLINE_S)
        return True

    await wait_until(accepts, server.child, deadline_s, f"no login at {server.address}")


async def _prepare(server: PostgresServer) -> None:
    import asyncpg

    try:
        admin = await _connect(ADMIN, server.admin_password, server.address, "postgres")
        try:
            await admin.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{server.password.reveal()}'")
            await admin.execute(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
        finally:
            await admin.close(timeout=STATEMENT_DEADLINE_S)
        owner = await _connect(ADMIN, server.admin_password, server.address, DATABASE)
        try:
            await owner.execute("CREATE EXTENSION vector")
        finally:
            await owner.close(timeout=STATEMENT_DEADLINE_S)
    except (asyncpg.PostgresError, OSError, TimeoutError) as exc:
        raise NotReadyError(
            f"Postgres runs, but its database could not be made: {exc}; its log is {server.child.log}"
        ) from exc
