"""What commands do to the state: with the daemon where one runs, else directly."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from sorawatch.app.build import admission, policy
from sorawatch.app.recovery import reconcile, taken_in
from sorawatch.app.state import StateLocation, new_owner
from sorawatch.daemon.upkeep.command_queue import Command, execute, preview
from sorawatch.daemon.upkeep.find_job import find
from sorawatch.edges.store import Store

if TYPE_CHECKING:
    from sorawatch.config import Config
    from sorawatch.core.job import Job


def request(config: Config, wishes: Sequence[Command]) -> bool:
    """Ask for something: of the daemon if one runs, which hears it at its next turn, else directly.

    Returns:
        Whether a daemon was there to ask.

    Raises:
        Rejected: if one of them cannot be granted; then none is.
        UsageError: if there is no state yet.
        Blocked: if the state or its ledger cannot be written.
    """
    where = StateLocation.of(config)
    store = Store.open_for_reading(where.keeper)
    with closing(store), store.transaction() as tx:
        running = where.is_worked_on(tx)
    with ExitStack() as stack:
        if not running:
            stack.enter_context(where.alone())
        store, _ = Store.create_or_open(where.keeper, "")
        stack.callback(store.close)
        with store.transaction() as tx:
            if not running:
                tx.peers.void(tx.peers.gone())
            for each in wishes:
                job = find(tx, each.job_id) if each.job_id else None
                preview(tx, each, job, policy(config))
                if running:
                    tx.command(each.verb, job.id if job else None, each.argument)
                else:
                    execute(tx, each, job, policy(config))
        # Else the next start would take the ledger's older word for news.
        where.ledger.write(tx.entries)
    return running


def recover(config: Config) -> tuple[list[Job], int]:
    """Make a new state from the work folder and the ledger; a damaged one is kept aside under another name.

    Returns:
        The jobs that were taken up, and how many orders the ledger told of.

    Raises:
        UsageError: if the state is in order, or a daemon works on it.
    """
    where = StateLocation.of(config)
    with ExitStack() as stack:
        stack.enter_context(where.alone())
        where.work.create()
        where.set_aside()
        store, _ = Store.create_or_open(where.keeper, new_owner())
        stack.callback(store.close)
        with store.transaction() as tx:
            # All of them were worked with before the state was lost: none is made anew where a share is not mounted.
            tx.write_note("marked", [str(folder) for folder in config.folders.roots.values()])
            jobs = {job.id: job for job in reconcile(tx, where.work, admission(config))}
            told = taken_in(tx, where.ledger)
            return [*(jobs | {job.id: job for job in told.jobs}).values()], told.orders
