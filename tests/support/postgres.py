"""A real PostgreSQL, started for the tests and thrown away after them."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.support.workspace import wait_until

PASSWORD = "s3cret-of-the-database"


def program(name: str) -> str:
    """The path of one of PostgreSQL's programs, which Debian keeps off the PATH; its name where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else shutil.which(name) or name


@dataclass
class Cluster:
    """A server on loopback, with the superuser ``sorawatch``."""

    folder: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    data: str = "data"
    """Its data directory, below the folder."""
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def user(self) -> dict[str, Any]:
        """Root may not run it."""
        if os.geteuid() != 0:
            return {}
        names = {entry.pw_name: entry for entry in pwd.getpwall()}
        entry = names.get("postgres") or names["nobody"]
        return {"user": entry.pw_uid, "group": entry.pw_gid}

    def make(self) -> None:
        if self.user:
            os.chown(self.folder, self.user["user"], self.user["group"])
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        command = [program("initdb"), "-D", "data", "-U", "sorawatch", "--pwfile", "password", "-E", "UTF8"]
        command += ["--auth", "scram-sha-256", "--no-sync"]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True, **self.user)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

    def start(self) -> None:
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off", "port": self.port}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self.process = subprocess.Popen(
            [program("postgres"), "-D", self.data, *options],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self.user,
        )
        wait_until(self.answers)

    def stop(self) -> None:
        """At once, with all connections cut."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)

    def copy(self) -> str:
        """A copy of the data directory as it is now, as a standby has it that receives nothing more."""
        name = f"copy{next(self.numbers)}"
        command = [program("pg_basebackup"), "-h", "127.0.0.1", "-p", str(self.port), "-U", "sorawatch", "-D", name]
        environment = {**os.environ, "PGPASSWORD": PASSWORD}
        subprocess.run(
            [*command, "-X", "fetch", "-c", "fast", "--no-sync"],
            cwd=self.folder,
            env=environment,
            check=True,
            capture_output=True,
            **self.user,
        )
        return name

    def fail_over(self, copy: str) -> None:
        """The server dies, and its standby takes its place, at the same address."""
        (self.folder / copy / "standby.signal").touch()
        self.replace(copy)
        command = [program("pg_ctl"), "promote", "-w", "-D", copy]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True, **self.user)

    def replace(self, copy: str) -> None:
        """The server dies, and starts with a copy of its data, as from a snapshot of its disk."""
        assert self.process is not None
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(60)
        shutil.rmtree(self.folder / self.data)
        self.data = copy
        self.start()

    def dump(self, url: str) -> Path:
        """A dump of the database at ``url``."""
        path = self.folder / f"dump{next(self.numbers)}.sql"
        subprocess.run([program("pg_dump"), "--clean", "-f", path, url], check=True)
        return path

    def restore(self, url: str, dump: Path) -> None:
        """Restore a dump. Connections stay, so that the tables are exchanged below the daemons."""
        command = [program("psql"), "-q", "-1", "-v", "ON_ERROR_STOP=1", "-f", str(dump), url]

        def is_restored() -> bool:
            # PostgreSQL ends it where a daemon and it wait for each other's tables.
            return subprocess.run(command, check=False, capture_output=True).returncode == 0

        wait_until(is_restored)

    def answers(self) -> bool:
        environment = {**os.environ, "PGPASSWORD": PASSWORD}
        asked = [program("psql"), "-h", "127.0.0.1", "-p", str(self.port), "-U", "sorawatch", "-c", "", "postgres"]
        return subprocess.run(asked, env=environment, capture_output=True, check=False).returncode == 0

    def execute(self, statement: str, database: str = "postgres") -> str:
        environment = {**os.environ, "PGPASSWORD": PASSWORD}
        asked = [program("psql"), "-h", "127.0.0.1", "-p", str(self.port), "-U", "sorawatch", "-At", database]
        done = subprocess.run([*asked, "-c", statement], env=environment, capture_output=True, check=True, text=True)
        return done.stdout.strip()

    def disconnect(self, database: str) -> None:
        """End all sessions of a database."""
        ended = f"SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = '{database}'"
        self.execute(ended)

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"clips{next(self.numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return f"postgresql://sorawatch:{PASSWORD}@127.0.0.1:{self.port}/{name}"


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """A server of its own until the block ends."""
    pytest.importorskip("psycopg")
    if program("initdb") is None or program("psql") is None:
        pytest.skip("needs the programs of PostgreSQL")
    made = Cluster(Path(tempfile.mkdtemp(prefix="sorawatch-postgres-")))
    try:
        made.make()
        made.start()
        yield made
    finally:
        if made.process is not None:
            made.stop()
        shutil.rmtree(made.folder)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with running_cluster() as made:
        yield made


@pytest.fixture
def database(cluster: Cluster) -> str:
    """The URL of a database of the test's own."""
    return cluster.database()
