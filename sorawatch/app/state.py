"""Where the state of a configuration is kept, what lies beside it, and which daemons work on it."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sorawatch.config.sections import WORK
from sorawatch.core.os_errors import translate
from sorawatch.edges import lock, mounts
from sorawatch.edges.ledger import Ledger
from sorawatch.edges.lock import Lock
from sorawatch.edges.spool import Spool
from sorawatch.edges.store import Database, PostgresDatabase, SqliteFile, Store, Transaction
from sorawatch.errors import ConfigError, DamagedState, Problem, UsageError

if TYPE_CHECKING:
    from sorawatch.config import Config

logger = logging.getLogger("sorawatch")

_LEDGER = ".ledger"


@dataclass(frozen=True, slots=True)
class StateLocation:
    """A state, and the folder for what is under way."""

    keeper: Database
    work: Spool
    file: Path | None = None
    """The state's; None where it is in a database, which several daemons share."""

    @classmethod
    def of(cls, config: Config) -> StateLocation:
        """Raises: ConfigError: if the state would lie on a network file system, where SQLite loses data, or nowhere."""
        where = f"{config.path}, state"
        if "://" in config.state:
            try:
                keeper = PostgresDatabase(config.state)
            except UsageError as error:
                raise ConfigError((Problem(where, "is no address of a database", str(error)),)) from error
            return cls(keeper, Spool(config.work or config.path.parent / WORK))
        path = Path(config.state)
        if os.access(path, os.F_OK, effective_ids=True) and path.is_dir():
            raise ConfigError((Problem(where, f"{path} is a folder", f"Name a file in it: {path / 'state.db'}."),))
        kind = mounts.file_system_of(path)
        if mounts.is_network(kind):
            what = f"{path} lies on a network file system ({kind}), where SQLite can lose data"
            raise ConfigError((Problem(where, what, "Choose a path on a local disk."),))
        return cls(SqliteFile(path), Spool.beside(path), path)

    @property
    def password(self) -> str:
        """What the address of the state holds that nobody may see; often empty."""
        return self.keeper.password or "" if isinstance(self.keeper, PostgresDatabase) else ""

    @property
    def home(self) -> Path:
        """The folder that must be writable."""
        return self.work.root if self.file is None else self.file.parent

    @property
    def ledger(self) -> Ledger:
        """What tells of all that was bought, should the state be lost or an older one be put back.

        Machines that share a state write one each. It lies in the work folder there, which alone must be writable, and
        those of all are read where they share that, too.
        """
        if self.file is not None:
            return Ledger(self.file.with_name(f"{self.file.name}{_LEDGER}"))
        mine = self.work.root / f"{socket.gethostname()}{_LEDGER}"
        return Ledger(mine, sorted({*self.work.root.glob(f"*{_LEDGER}")} - {mine}))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold off every other daemon from a state file as long as the block lasts; a database needs no such thing.

        Raises:
            UsageError: if there is one.
            Blocked, Deferred: if the lock cannot be made.
        """
        if self.file is None:
            yield
            return
        make(self.file.parent)
        held = Lock.take(self._lock, f"the state {self.file}")
        try:
            yield
        finally:
            held.release()

    def is_worked_on(self, tx: Transaction) -> bool:
        """Whether there is a daemon."""
        return bool(tx.peers.boards()) if self.file is None else self.is_locked

    @property
    def is_locked(self) -> bool:
        """Whether a daemon keeps others off; in a database none does."""
        return self.file is not None and lock.is_locked(self._lock)

    def boards(self, tx: Transaction) -> list[dict[str, Any]]:
        """What each daemon said last of how it stands; nothing if it has said nothing yet."""
        return [tx.note(board) or {} for board in tx.peers.boards()]

    def open(self, clock: Callable[[], int] | None = None) -> Store:
        """Open the state for a daemon, unless it was lost while orders were under way: they must not be bought again.

        Raises:
            UsageError: if it was, or cannot be trusted.
            Blocked: if it cannot be opened.
        """
        left = sum(self.work.record(job_id) is not None for job_id in self.work.jobs())
        if left and not self.keeper.is_there():
            raise UsageError(
                f"{self.keeper.name} is gone or empty, but {self.work.root} still holds {left} unfinished jobs, "
                "which may be paid for. Put the state back, or run `sorawatch recover`, which makes a new one "
                "from that folder and the ledger."
            )
        return Store.create_or_open(self.keeper, new_owner(), clock)[0]

    def set_aside(self) -> None:
        """Rename a damaged state file, if there is one, with all that belongs to it.

        Raises:
            UsageError: if the state is not damaged.
        """
        if not self.keeper.is_there():
            return
        try:
            with closing(Store.create_or_open(self.keeper, new_owner())[0]) as store:
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
                f"{self.keeper.name} is in order, so there is nothing to recover. `sorawatch run` goes on with it."
            )

    @property
    def _lock(self) -> Path:
        """The file that the one daemon on a state file holds locked."""
        assert self.file is not None
        return self.file.with_name(f"{self.file.name}.lock")


def make(folder: Path) -> None:
    """Raises: Blocked, Deferred: if it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise translate(error, str(folder)) from error


def new_owner() -> str:
    """A name for a daemon that no other has."""
    return f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"
