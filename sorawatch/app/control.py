"""Executes commands on the state: through the daemon if one is running, otherwise directly."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import replace
from typing import TYPE_CHECKING

from sorawatch.app.build import admission
from sorawatch.app.folders import require_own_inbox, set_marked_folders
from sorawatch.app.recovery import log_recovered, reconcile, take_in
from sorawatch.app.state import StateLocation, new_owner
from sorawatch.app.state_identity import known_state_id, state_id, write_header
from sorawatch.core.batches import Share, counted
from sorawatch.core.command import Command
from sorawatch.core.naming import one_line
from sorawatch.daemon.upkeep import command_queue
from sorawatch.daemon.upkeep.find_job import find, inbox_folder
from sorawatch.edges.inbox import Inbox
from sorawatch.edges.store import Store
from sorawatch.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sorawatch.config import Config
    from sorawatch.core.job import Job


def execute(config: Config, commands: Sequence[Command]) -> bool:
    """Queue commands for the next turn of the daemon if one is running, otherwise execute them.

    Returns:
        Whether a daemon is running.

    Raises:
        Rejected: if one of them cannot be executed. Then none of them is.
        UsageError: if there is no state yet, or no daemon runs and the inbox belongs to another state.
        Blocked: if the state or its ledger cannot be written.
    """
    location = StateLocation.of(config)
    store = Store.open_for_reading(location.database)
    with closing(store), store.transaction() as tx:
        running, state = location.has_daemon(tx), known_state_id(tx)
    if not running and state is not None:
        require_own_inbox(config, state)
    with ExitStack() as stack:
        if not running:
            stack.enter_context(location.locked())
        store, _ = Store.create_or_open(location.database, "")
        stack.callback(store.close)
        with store.transaction() as tx:
            if not running:
                tx.peers.release_claims(tx.peers.absent())
            for each in commands:
                job = find(tx, each.job_id, config.folders) if each.job_id else None
                command_queue.result(tx, each, job, config.policy)
                if running:
                    tx.commands.add(replace(each, job_id=job.id if job else None))
                else:
                    command_queue.execute(tx, each, job, config.policy)
        # Otherwise the next start would restore the older entries of the ledger.
        location.ledger.write(tx.entries)
    return running


def approve(config: Config, folder: Path | None) -> tuple[Share, Share, bool]:
    """Let the orders go that wait for approval in a folder of the inbox and those below it; all of them if None.

    Args:
        folder: relative to the inbox or to the working directory, or absolute; in the inbox or the errors folder.

    Returns:
        The orders that are approved, those that go on waiting, and whether a daemon is running.

    Raises:
        Rejected: if nothing waits there.
        UsageError: if the folder is in another place, or there is no state yet.
        Blocked: if the state cannot be written.
    """
    below = "" if folder is None else inbox_folder(config.folders, folder)
    with closing(Store.open_for_reading(StateLocation.of(config).database)) as store, store.transaction() as tx:
        approved, everything = tx.batches.awaiting(below), tx.batches.awaiting("")
    if not approved.orders:
        where = f" in {one_line(below)}" if below else ""
        others = f" In other folders {counted(everything)} wait." if everything.orders else ""
        raise Rejected(f"nothing waits for approval{where}.{others}", "`sorawatch status` says what jobs wait for.")
    running = execute(config, [Command(command_queue.APPROVE, argument=below)])
    left = Share(everything.orders - approved.orders, everything.micros - approved.micros)
    return approved, left, running


def pause_file(config: Config) -> Path | None:
    """The file in the inbox that stops submissions whatever `resume` says, if there is one."""
    inbox = config.folders.inbox
    name = Inbox(inbox, ignore=config.watch.ignore, settle_seconds=config.watch.settle_seconds).pause_file()
    return None if name is None else inbox / name


def recover(config: Config) -> tuple[list[Job], int]:
    """Make a new state from the work folder and the ledger. A damaged state is renamed.

    Returns:
        The jobs that were restored or corrected, and the number of orders that were restored from the ledger.

    Raises:
        UsageError: if the state is not damaged, or is used by a daemon.
    """
    location = StateLocation.of(config)
    with ExitStack() as stack:
        stack.enter_context(location.locked())
        location.spool.create()
        location.set_aside()
        store, _ = Store.create_or_open(location.database, new_owner())
        stack.callback(store.close)
        with store.transaction() as tx:
            # The lost state had marked all folders, so a missing one is on an unmounted share and must not be made.
            set_marked_folders(tx, [str(folder) for folder in config.folders.roots.values()])
            jobs = {job.id: job for job in reconcile(tx, location.spool, admission(config))}
            state = state_id(tx, location.ledger, replaces_lost=True)
            recovered = take_in(tx, location.ledger.read())
            log_recovered(recovered)
        write_header(location.ledger, state)
        return [*(jobs | {job.id: job for job in recovered.jobs}).values()], recovered.orders
