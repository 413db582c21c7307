"""Where the state of a configuration is, with its work folder, ledger and lock, and which daemons use it."""

from __future__ import annotations

import logging
import os
import socket
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sorawatch.config.sections import WORK
from sorawatch.core.os_errors import translate
from sorawatch.daemon.upkeep.published_status import PublishedStatus
from sorawatch.edges import lock, mounts
from sorawatch.edges.ledger import Ledger
from sorawatch.edges.lock import Lock
from sorawatch.edges.spool import Spool
from sorawatch.edges.store import Database, PostgresDatabase, SqliteFile, Store, Transaction
from sorawatch.errors import ConfigError, DamagedState, Problem, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sorawatch.config import Config

logger = logging.getLogger("sorawatch")

_LEDGER = ".ledger"


@dataclass(frozen=True, slots=True)
class StateLocation:
    """A state, and its folder for unfinished jobs."""

    database: Database
    spool: Spool
    file: Path | None = None
    """The state file; None if the state is in a database, which several daemons can share."""

    @classmethod
    def of(cls, config: Config) -> StateLocation:
        """Raises: ConfigError: if the state would be on a network file system, or its path or address is invalid."""
        where = f"{config.path}, state"
        if "://" in config.state:
            try:
                database = PostgresDatabase(config.state)
            except UsageError as error:
                raise ConfigError((Problem(where, "is no address of a database", str(error)),)) from error
            return cls(database, Spool(config.work or config.path.parent / WORK))
        path = Path(config.state)
        if os.access(path, os.F_OK, effective_ids=True) and path.is_dir():
            raise ConfigError((Problem(where, f"{path} is a folder", f"Name a file in it: {path / 'state.db'}."),))
        kind = mounts.file_system_of(path)
        if mounts.is_network(kind):
            what = f"{path} is on a network file system ({kind}), where SQLite can lose data"
            raise ConfigError((Problem(where, what, "Choose a path on a local disk."),))
        return cls(SqliteFile(path), Spool.beside(path), path)

    @property
    def password(self) -> str:
        """The password in the address of the database; empty if there is none."""
        return self.database.password or "" if isinstance(self.database, PostgresDatabase) else ""

    @property
    def folder(self) -> Path:
        """The folder that the daemon must be able to write to."""
        return self.spool.root if self.file is None else self.file.parent

    @property
    def ledger(self) -> Ledger:
        """The record of all purchases, in case the state is lost or replaced by an older one.

        Each machine that shares a state writes a separate ledger to its work folder. If the machines share that folder
        too, each of them reads all ledgers.
        """
        if self.file is not None:
            return Ledger(self.file.with_name(f"{self.file.name}{_LEDGER}"))
        own = self.spool.root / f"{socket.gethostname()}{_LEDGER}"
        return Ledger(own, sorted({*self.spool.root.glob(f"*{_LEDGER}")} - {own}))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock a state file against other daemons while the block runs. A database needs no lock.

        Raises:
            UsageError: if another daemon has locked it.
            Blocked, Deferred: if the lock file cannot be used.
        """
        if self.file is None:
            yield
            return
        make(self.file.parent, mode=0o700)
        taken = Lock.take(self._lock, f"the state {self.file}")
        try:
            yield
        finally:
            taken.release()

    def has_daemon(self, tx: Transaction) -> bool:
        """Whether a daemon uses the state."""
        return bool(tx.peers.status_keys()) if self.file is None else self.is_locked

    @property
    def is_locked(self) -> bool:
        """Whether a daemon has locked the state file; False for a database."""
        return self.file is not None and lock.is_locked(self._lock)

    def published(self, tx: Transaction) -> list[PublishedStatus]:
        """The status that each daemon published last."""
        return [PublishedStatus.read(tx, key) for key in tx.peers.status_keys()]

    def open(self, clock: Callable[[], int] | None = None) -> Store:
        """Open the state for a daemon.

        Raises:
            UsageError: if it is damaged, or was lost with unfinished orders, which must not be bought again.
            Blocked: if it cannot be opened.
        """
        left = len([job_id for job_id in self.spool.jobs() if self.spool.record(job_id) is not None])
        if left and not self.database.is_there():
            raise UsageError(
                f"{self.database.name} is missing or empty, but {self.spool.root} still has {left} unfinished jobs, "
                "which may be paid for. Put the state back, or run `sorawatch recover`, which makes a new one "
                "from that folder and the ledger."
            )
        return Store.create_or_open(self.database, new_owner(), clock)[0]

    def set_aside(self) -> None:
        """Rename a damaged state file with its journal files. A missing state is allowed.

        Raises:
            UsageError: if the state is not damaged.
        """
        if not self.database.is_there():
            return
        try:
            with closing(Store.create_or_open(self.database, new_owner())[0]) as store:
                store.examine()
        except DamagedState:
            if (path := self.file) is None:
                raise
            number = next(n for n in range(1, 10_000) if not path.with_name(f"{path.name}.damaged{n}").exists())
            for suffix in ("-journal", "-wal", "-shm", ""):
                part = path.with_name(path.name + suffix)
                if part.exists():
                    part.rename(path.with_name(f"{path.name}.damaged{number}{suffix}"))
            logger.warning("the damaged state is kept as %s.damaged%d", path, number)
        else:
            raise UsageError(
                f"{self.database.name} is in order, so there is nothing to recover. `sorawatch run` continues with it."
            )

    @property
    def _lock(self) -> Path:
        """The file whose lock is held by the daemon that uses the state file."""
        assert self.file is not None
        return self.file.with_name(f"{self.file.name}.lock")


def make(folder: Path, mode: int = 0o777) -> None:
    """Make a folder with its parents. Raises: Blocked, Deferred: if it cannot be made."""
    try:
        folder.mkdir(mode, parents=True, exist_ok=True)
    except OSError as error:
        raise translate(error, str(folder)) from error


def new_owner() -> str:
    """A unique name for a daemon."""
    return f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"
