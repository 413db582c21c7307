"""What commands do to the state: with the daemon where one runs, else directly."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing

from sorawatch.app.build import admission, policy
from sorawatch.app.recovery import reconcile, taken_in
from sorawatch.app.state import Whereabouts, new_owner
from sorawatch.config import Config
from sorawatch.core.job import Job
from sorawatch.daemon.upkeep.command_queue import Wish, find, foresee, grant
from sorawatch.edges.store import Store


def wish(config: Config, wishes: Sequence[Wish]) -> bool:
    """Ask for something: of the daemon if one runs, which hears it at its next turn, else directly.

    Returns:
        Whether a daemon was there to ask.

    Raises:
        Rejected: if one of them cannot be granted; then none is.
        UsageError: if there is no state yet.
        Blocked: if the state or its ledger cannot be written.
    """
    where = Whereabouts.of(config)
    store = Store.open_for_reading(where.keeper)
    with closing(store), store.turn() as turn:
        running = where.is_worked_on(turn)
    with ExitStack() as stack:
        if not running:
            stack.enter_context(where.alone())
        store, _ = Store.create_or_open(where.keeper, "")
        stack.callback(store.close)
        with store.turn() as turn:
            if not running:
                turn.peers.void(turn.peers.gone())
            for each in wishes:
                job = find(turn, each.job_id) if each.job_id else None
                foresee(turn, each, job, policy(config))
                if running:
                    turn.command(each.verb, job.id if job else None, each.argument)
                else:
                    grant(turn, each, job, policy(config))
        # Else the next start would take the ledger's older word for news.
        where.ledger.write(turn.entries)
    return running


def recover(config: Config) -> tuple[list[Job], int]:
    """Make a new state from the work folder and the ledger; a damaged one is kept aside under another name.

    Returns:
        The jobs that were taken up, and how many orders the ledger told of.

    Raises:
        UsageError: if the state is in order, or a daemon works on it.
    """
    where = Whereabouts.of(config)
    with ExitStack() as stack:
        stack.enter_context(where.alone())
        where.work.create()
        where.set_aside()
        store, _ = Store.create_or_open(where.keeper, new_owner())
        stack.callback(store.close)
        with store.turn() as turn:
            # All of them were worked with before the state was lost: none is made anew where a share is not mounted.
            turn.write_note("marked", [str(folder) for folder in config.folders.roots.values()])
            jobs = {job.id: job for job in reconcile(turn, where.work, admission(config))}
            told = taken_in(turn, where.ledger)
            return [*(jobs | {job.id: job for job in told.jobs}).values()], told.orders
