"""Back into the state what it does not know: from the records in the work folder, and from the ledger."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sorawatch.core.job import FINAL, UNPAID, Job, State
from sorawatch.core.job_record import from_record
from sorawatch.core.purchase import Purchase, merged, untold
from sorawatch.core.purchase_recovery import recovered
from sorawatch.edges.store import LeaseLost, Transaction

if TYPE_CHECKING:
    from sorawatch.daemon.submission.admission import Admission
    from sorawatch.edges.ledger import Ledger
    from sorawatch.edges.spool import Spool

logger = logging.getLogger("sorawatch")


def reconcile(tx: Transaction, work: Spool, admission: Admission) -> list[Job]:
    """Take up what the work folder knows better than the state, as after a backup of the state was put back.

    Returns:
        The jobs that were added or set right.
    """
    taken_up = []
    for job_id in work.jobs():
        record = work.record(job_id)
        if record is None:
            continue
        try:
            recorded = from_record(record, tx.now)
        except ValueError as error:
            logger.warning("%s/job.json cannot be read (%s)", work.folder(job_id), error)
            continue
        if recorded.token is not None and tx.has_purchase(recorded.token):
            continue
        known = tx.job(recorded.id)
        submitted = recorded.token is not None or recorded.video_id is not None
        if known is None:
            job = replace(recorded, price=recorded.price if submitted else admission.price(recorded))
            tx.add([job])
        elif known.state in UNPAID and submitted:
            job = replace(recorded, created_at=known.created_at, pair=known.pair)
            tx.save(job, known)
        else:
            continue
        if job.token is not None:
            tx.buy(job)
            if job.video_id is not None:
                tx.know_video(job.token, job.video_id)
        taken_up.append(job)
    return taken_up


@dataclass(frozen=True, slots=True)
class LedgerRecovery:
    """What came of a ledger."""

    orders: int
    """Purchases of which the state knew less."""
    jobs: list[Job]
    """Those that were set right for it."""
    lacking: list[Purchase]
    """What the state knows and the ledger does not tell."""


def take_in(tx: Transaction, ledger: Mapping[str, Purchase]) -> LedgerRecovery:
    """Write down what the ledger, by tokens, tells and the state does not know, and go on with the jobs from there."""
    known = tx.orders.all()
    news: dict[str, Purchase] = {}
    for token, told in ledger.items():
        before = known.get(token)
        whole = told if before is None else merged(told, before)
        if before is None or _account(before) != _account(whole):
            tx.orders.put(whole)
            known[token] = news[token] = whole
    lacking = untold(known.values(), ledger)
    taken_up = []
    latest = {purchase.job_id: purchase for purchase in news.values()}
    for job in tx.jobs({*State} - FINAL) if news else ():
        mine = [each for each in (latest.get(job.id), known.get(job.token or "")) if each is not None]
        purchase = max(mine, key=lambda each: each.at, default=None)
        if purchase is None or purchase.token not in news:
            continue
        after = recovered(job, purchase, tx.now)
        if after is None or after == job:
            continue
        # Another daemon may be preparing it this very moment; before it is bought, its order is looked up again.
        with suppress(LeaseLost):
            tx.save(after, job)
            taken_up.append(after)
    return LedgerRecovery(len(news), taken_up, lacking)


def counted(orders: int) -> str:
    """``1 order``, ``2 orders``."""
    return f"{orders} order{'' if orders == 1 else 's'}"


def taken_in(tx: Transaction, ledger: Ledger) -> LedgerRecovery:
    """What the ledger tells, written down and logged."""
    told = take_in(tx, ledger.read())
    if told.orders:
        logger.warning("known again from the ledger: %s", counted(told.orders))
    for job in told.jobs:
        logger.warning("%s [%s]: %s, as the ledger tells", job.pair.path, job.id, job.state)
    return told


def _account(purchase: Purchase) -> tuple[object, ...]:
    return purchase.at, purchase.standing, purchase.video_id, purchase.clip, purchase.reference_key
