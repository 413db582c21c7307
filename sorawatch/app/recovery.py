"""Restores jobs and purchases that are missing in the state, from the records in the work folder and the ledger."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sorawatch.core.job import FINAL, UNPAID, Job, State
from sorawatch.core.job_record import from_record
from sorawatch.core.purchase import Purchase, merged, untold
from sorawatch.core.purchase_recovery import recovered
from sorawatch.edges.store import AGREEMENT, LeaseLost, Transaction
from sorawatch.errors import Blocked, Deferred

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sorawatch.daemon.submission.admission import Admission
    from sorawatch.edges.ledger import Ledger
    from sorawatch.edges.spool import Spool

logger = logging.getLogger("sorawatch")


def reconcile(tx: Transaction, spool: Spool, admission: Admission) -> list[Job]:
    """Add or correct jobs from the records in the work folder, such as after an old backup of the state was restored.

    Returns:
        The jobs that were added or corrected.
    """
    restored = []
    for job_id in spool.jobs():
        record = spool.record(job_id)
        if record is None:
            continue
        try:
            recorded = from_record(record, tx.now)
        except ValueError as error:
            logger.warning("%s/job.json cannot be read (%s)", spool.folder(job_id), error)
            continue
        if recorded.token is not None and tx.purchases.has(recorded.token):
            continue
        known = tx.jobs.get(recorded.id)
        submitted = recorded.token is not None or recorded.video_id is not None
        if known is None:
            job = replace(recorded, price=recorded.price if submitted else admission.price(recorded))
            tx.jobs.add([job])
        elif known.state in UNPAID and submitted:
            job = replace(recorded, created_at=known.created_at, pair=known.pair)
            # Another daemon may be preparing it. That outcome is dropped, because the job is in another state then.
            tx.jobs.amend(job, known)
        else:
            continue
        if job.token is not None:
            tx.purchases.add(job)
            if job.video_id is not None:
                tx.purchases.set_video(job.token, job.video_id)
        restored.append(job)
    return restored


@dataclass(frozen=True, slots=True)
class LedgerRecovery:
    """What a ledger added to the state."""

    orders: int
    """The number of purchases that were missing or incomplete in the state."""
    jobs: list[Job]
    """Jobs that were corrected."""
    missing: list[Purchase]
    """Purchases of the state that are missing in the ledger."""


def take_in(tx: Transaction, ledger: Mapping[str, Purchase]) -> LedgerRecovery:
    """Add the purchases of the ledger (by token) that are missing in the state, and correct their jobs."""
    known = tx.purchases.all()
    added: dict[str, Purchase] = {}
    for token, listed in ledger.items():
        before = known.get(token)
        complete = listed if before is None else merged(listed, before)
        if before is None or _facts(before) != _facts(complete):
            tx.purchases.replace(complete)
            known[token] = added[token] = complete
    missing = untold(known.values(), ledger)
    corrected = []
    latest = {purchase.job_id: purchase for purchase in added.values()}
    for job in tx.jobs.in_states({*State} - FINAL) if added else ():
        of_job = [each for each in (latest.get(job.id), known.get(job.token or "")) if each is not None]
        purchase = max(of_job, key=lambda each: each.at, default=None)
        if purchase is None or purchase.token not in added:
            continue
        after = recovered(job, purchase, tx.now)
        if after is None or after == job:
            continue
        try:
            tx.jobs.save(after, job)
        except LeaseLost:
            if job.state not in UNPAID:
                continue
            # Another daemon is preparing it, and would then buy the order again.
            tx.jobs.amend(after, job)
        corrected.append(after)
    return LedgerRecovery(len(added), corrected, missing)


def is_known_to_agree(tx: Transaction, ledger: Ledger) -> bool:
    """Whether the state and its ledger were found to agree, and neither has changed since."""
    noted = tx.key_values.read(AGREEMENT)
    return noted is not None and noted == ledger.fingerprint()


def compare(
    tx: Transaction, spool: Spool, ledger: Ledger, admission: Admission, *, agrees: bool = False
) -> LedgerRecovery:
    """Add to the state what only the work folder and the ledger know, and log it.

    Args:
        agrees: the ledger is known to agree with the state, so it is read only if the work folder knows more.

    Raises:
        Blocked: if they cannot be read.
    """
    try:
        restored = reconcile(tx, spool, admission)
        for job in restored:
            logger.warning("%s [%s]: restored from %s", job.pair.path, job.id, spool.folder(job.id))
    except Deferred as error:
        raise Blocked(f"the work folder cannot be read: {error}", "Check its disk.", temporary=True) from error
    if agrees and not restored:
        return LedgerRecovery(0, [], [])
    recovery = take_in(tx, ledger.read())
    log_recovered(recovery)
    return recovery


def log_recovered(recovery: LedgerRecovery) -> None:
    """Log what a ledger added to the state."""
    if recovery.orders:
        logger.warning("restored from the ledger: %s", counted(recovery.orders))
    for job in recovery.jobs:
        logger.warning("%s [%s]: %s, according to the ledger", job.pair.path, job.id, job.state)


def counted(orders: int) -> str:
    """``1 order``, ``2 orders``."""
    return f"{orders} order{'' if orders == 1 else 's'}"


def _facts(purchase: Purchase) -> tuple[object, ...]:
    return purchase.at, purchase.standing, purchase.video_id, purchase.clip, purchase.reference_key
