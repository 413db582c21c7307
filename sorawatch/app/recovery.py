"""Puts back into the state what it does not know: from the records in the work folder, and from the ledger."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sorawatch.core.job import FINAL, UNPAID, Job, State
from sorawatch.core.job_record import from_record
from sorawatch.core.purchase import Purchase, merged, untold
from sorawatch.core.purchase_recovery import recovered
from sorawatch.edges.store import LeaseLost, Transaction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sorawatch.daemon.submission.admission import Admission
    from sorawatch.edges.spool import Spool

logger = logging.getLogger("sorawatch")


def reconcile(tx: Transaction, spool: Spool, admission: Admission) -> list[Job]:
    """Take up what the work folder knows better than the state, as after an older backup of the state was put back.

    Returns:
        The jobs that were added or corrected.
    """
    taken_up = []
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
            tx.jobs.save(job, known)
        else:
            continue
        if job.token is not None:
            tx.purchases.add(job)
            if job.video_id is not None:
                tx.purchases.set_video(job.token, job.video_id)
        taken_up.append(job)
    return taken_up


@dataclass(frozen=True, slots=True)
class LedgerRecovery:
    """What a ledger added to the state."""

    orders: int
    """Purchases of which the state knew less."""
    jobs: list[Job]
    """Jobs that were corrected."""
    missing: list[Purchase]
    """What the state knows and the ledger does not."""


def take_in(tx: Transaction, ledger: Mapping[str, Purchase]) -> LedgerRecovery:
    """Write down what the ledger (by tokens) knows and the state does not, and correct the jobs accordingly."""
    known = tx.purchases.all()
    news: dict[str, Purchase] = {}
    for token, listed in ledger.items():
        before = known.get(token)
        whole = listed if before is None else merged(listed, before)
        if before is None or _facts(before) != _facts(whole):
            tx.purchases.replace(whole)
            known[token] = news[token] = whole
    missing = untold(known.values(), ledger)
    corrected = []
    latest = {purchase.job_id: purchase for purchase in news.values()}
    for job in tx.jobs.in_states({*State} - FINAL) if news else ():
        of_job = [each for each in (latest.get(job.id), known.get(job.token or "")) if each is not None]
        purchase = max(of_job, key=lambda each: each.at, default=None)
        if purchase is None or purchase.token not in news:
            continue
        after = recovered(job, purchase, tx.now)
        if after is None or after == job:
            continue
        # Another daemon may be preparing it at this moment; before it is bought, its order is looked up again.
        with suppress(LeaseLost):
            tx.jobs.save(after, job)
            corrected.append(after)
    return LedgerRecovery(len(news), corrected, missing)


def log_recovered(recovery: LedgerRecovery) -> None:
    """Log what a ledger added to the state."""
    if recovery.orders:
        logger.warning("known again from the ledger: %s", counted(recovery.orders))
    for job in recovery.jobs:
        logger.warning("%s [%s]: %s, as the ledger tells", job.pair.path, job.id, job.state)


def counted(orders: int) -> str:
    """``1 order``, ``2 orders``."""
    return f"{orders} order{'' if orders == 1 else 's'}"


def _facts(purchase: Purchase) -> tuple[object, ...]:
    return purchase.at, purchase.standing, purchase.video_id, purchase.clip, purchase.reference_key
