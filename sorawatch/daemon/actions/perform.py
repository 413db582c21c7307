"""Carries out one action for one job and says what it came to. Records nothing."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sorawatch.core import outcome as o
from sorawatch.core.answers import Status, Video
from sorawatch.core.error_text import error_text
from sorawatch.core.job import Job, Pair, Stamp, State, path_in
from sorawatch.core.job_record import to_record
from sorawatch.core.lifecycle import Action
from sorawatch.core.log_events import LogEvent, LogFields, log_extra
from sorawatch.core.naming import clip_name, error_name, on_a_line, stem_of
from sorawatch.core.os_errors import translate
from sorawatch.core.pairing import ERROR_SUFFIX
from sorawatch.core.reference_format import Format, ReferenceOptions
from sorawatch.daemon.actions.downloads import ClipDownloads
from sorawatch.daemon.actions.lost_submit import LostSubmitSearch
from sorawatch.edges import images, inbox, lock, mounts, outbox
from sorawatch.edges.spool import Spool, SpoolFile
from sorawatch.errors import Blocked, Damaged, Deferred, ModelUnknown, Rejected, SorawatchError, Unresolved

if TYPE_CHECKING:
    from sorawatch.config import Folders
    from sorawatch.core.order import Model, Order
    from sorawatch.daemon.actions.uploads import ActiveUploads
    from sorawatch.daemon.actions.witnesses import Witnesses
    from sorawatch.edges.api import VideoApi

logger = logging.getLogger("sorawatch")

_WAIT = "Nothing needs to be done: it is tried again by itself."

_MODELS = 12
"""Models that a message names at the most: gateways list hundreds."""


class Performer:
    """Does what the lifecycle decides. Called from several threads at once."""

    def __init__(
        self,
        folders: Folders,
        work: Spool,
        api: Callable[[], VideoApi],
        pictures: images.Pool,
        catalogue: Mapping[str, Model],
        finish: ReferenceOptions,
        uploads: ActiveUploads,
        witnesses: Witnesses,
        same_again_seconds: float,
    ) -> None:
        """``same_again_seconds``: as `ClipDownloads` has them."""
        self._folders = folders
        self._pictures = pictures
        self._finish = finish
        self._work = work
        self._api = api
        self._search = LostSubmitSearch(api, witnesses)
        self._witnesses = witnesses
        self._downloads = ClipDownloads(api, work, same_again_seconds)
        self._catalogue = catalogue
        self._uploads = uploads
        self._recorded: set[str] = set()
        """Jobs whose record is known to name their video; it may have come from an earlier job, or from a person."""
        self._strange_words: set[str] = set()
        """Words for a status that the server used and we do not know, each logged already."""

    def __call__(self, action: Action, job: Job) -> o.Outcome:
        """Carry out ``action``; every error of ours becomes an outcome."""
        try:
            return self._act(action, job)
        except Unresolved as error:
            return o.Unknown(str(error), None if error.cause is None else self._halted(error.cause))
        except Rejected as error:
            return o.FailedForGood(str(error), error.hint, own=error.own)
        except Deferred as error:
            if error.everyone and action is Action.SUBMIT:
                return o.Halted(str(error), _WAIT, passing=True, retry_after=error.retry_after, crowded=error.crowded)
            return o.FailedForNow(str(error), error.retry_after, counts=not error.everyone, answered=error.answered)
        except Blocked as error:
            return self._halted(error)

    def _halted(self, error: Blocked) -> o.Halted:
        if isinstance(error, ModelUnknown):
            return o.Halted(str(error), f"{error.hint}{self._offered()}", passing=error.passing, model=True)
        return o.Halted(str(error), error.hint, passing=error.passing, keyed=error.keyed)

    def _act(self, action: Action, job: Job) -> o.Outcome:
        match action:
            case Action.PREPARE:
                return self._prepare(job)
            case Action.SUBMIT:
                return self._submit(job)
            case Action.RESOLVE:
                return self._resolve(job)
            case Action.POLL:
                return self._poll(job)
            case Action.DELIVER:
                return self._deliver(job)
            case Action.ARCHIVE:
                return self._archive(job)
            case Action.RESTORE:
                return self._restore(job)

    def _prepare(self, job: Job) -> o.Outcome:
        order = job.order
        assert order is not None
        try:
            reference = self._staged(job, order)
        except Damaged as error:
            if not mounts.is_network(mounts.file_system_of(self._folders.inbox / job.pair.path)):
                raise
            return o.Partial(str(error), error.hint)
        self._work.write_record(job.id, to_record(replace(job, order=replace(order, size=reference.size))))
        sent = hashlib.sha256(reference.data).hexdigest()
        return o.Prepared(reference.size, reference.digest, reference.note, sent)

    def _staged(self, job: Job, order: Order) -> images.Reference:
        """The reference, made and kept in the work folder."""
        model = self._catalogue.get(order.model)
        if model is None:
            hint = "Describe it under models: in the configuration, or name another one in the sidecar."
            raise Rejected(f"the model {order.model} is no longer in the catalogue", hint)
        wish = images.ReferenceRequest(model, order.size, order.fit, order.focus, self._finish)
        self._require_settled(job.pair)
        try:
            reference = self._pictures.prepare(self._folders.inbox / job.pair.path, wish)
        finally:
            # Whatever was said of other bytes than those that were settled does not count.
            self._require_settled(job.pair)
        self._work.stage(job.id, reference.data)
        return reference

    def _require_settled(self, pair: Pair) -> None:
        if inbox.stamp(self._folders.inbox / pair.path) != pair.image_stamp:
            raise Deferred(f"{pair.image} was changed or taken away after it was listed")

    def _submit(self, job: Job) -> o.Outcome:
        order = job.order
        assert order is not None
        if any(found != listed for found, listed in self._looks(job.pair)):
            why = f"{job.pair.image} or its sidecar was changed or taken away after it was listed"
            return o.FailedForNow(why, counts=False)
        reference = self._work.reference(job.id) or self._made_again(job, order)
        if reference is None:
            return o.ReferenceLost()
        self._work.write_record(job.id, to_record(job))
        try:
            with self._uploads.one():
                video = self._send(job, order, reference)
        except (Deferred, Rejected, Blocked):
            self._work.write_record(job.id, to_record(replace(job, token=None)))
            raise
        if self._witnesses.owner(video.id) not in {None, job.id}:
            return o.Unknown(f"the server answered with the id of another job's video ({video.id})")
        self._witnesses.know(video.id, job)
        with suppress(Deferred, Blocked):
            self._work.write_record(job.id, to_record(replace(job, video_id=video.id)))
        return o.Accepted(video.id, video.rest)

    def _made_again(self, job: Job, order: Order) -> bytes | None:
        """The reference of a job that another machine prepared; None if it does not become the same again."""
        try:
            reference = self._staged(job, order)
        except Rejected:
            return None
        return reference.data if reference.digest == job.digest else None

    def _send(self, job: Job, order: Order, reference: bytes) -> Video:
        form = Format.of(reference)
        return self._api().submit(
            model=order.model,
            prompt=order.prompt,
            size=str(order.size),
            seconds=str(order.seconds),
            reference=reference,
            file_name=stem_of(job.pair.image).encode("ascii", "replace").decode().replace("?", "_") + form.suffix,
            mime=form.mime,
        )

    def _offered(self) -> str:
        """Which models the server has, in a sentence, those that we know first; empty where it does not say."""
        try:
            names = self._api().models()
        except SorawatchError:
            return ""
        known = sorted(dict.fromkeys(names), key=lambda name: name not in self._catalogue)
        more = f" and {len(known) - _MODELS} more" if len(known) > _MODELS else ""
        return f" It offers: {', '.join(known[:_MODELS])}{more}." if known else ""

    def _resolve(self, job: Job) -> o.Outcome:
        record = self._work.record(job.id)
        video_id = record.get("video_id") if record and record.get("token") == job.token else None
        if video_id and self._witnesses.owner(video_id) in {None, job.id}:
            return o.Accepted(video_id)
        return self._search.look(job)

    def _poll(self, job: Job) -> o.Outcome:
        assert job.video_id is not None
        if job.id not in self._recorded:
            with suppress(Deferred, Blocked):
                self._work.write_record(job.id, to_record(job))
                self._recorded.add(job.id)
        try:
            video = self._api().retrieve(job.video_id)
        except Rejected as error:
            # A server that has just accepted a video may not know it everywhere yet; only repetition convinces.
            return o.FailedForNow(str(error))
        except Deferred as error:
            return o.FailedForNow(str(error), error.retry_after, counts=False, answered=error.answered)
        self._witnesses.know(job.video_id, job)
        match video.status:
            case Status.COMPLETED:
                return o.Rendered(_took(video))
            case Status.FAILED:
                assert video.failure is not None
                return o.GenerationFailed(video.failure)
            case _:
                self._log_strange_word(video)
                return o.Pending(video.progress)

    def _log_strange_word(self, video: Video) -> None:
        """Say once of every status that we do not know what it is taken for, lest it is the word for an end."""
        word = video.unknown_status
        if word is not None and word not in self._strange_words:
            self._strange_words.add(word)
            logger.warning('the server calls a video "%s", which is unknown here; it counts as still rendering', word)

    def _deliver(self, job: Job) -> o.Outcome:
        assert job.video_id is not None
        fetched = self._downloads.fetch(job.id, job.video_id)
        if isinstance(fetched, o.FailedForNow):
            return fetched
        item = outbox.Item(fetched.path, clip_name(job.pair.image, fetched.suffix), keep=True)
        intent = self._work.folder(job.id) / SpoolFile.PUBLISHING
        (name,) = self._place([item], self._folders.outbox, job.pair.folder, intent)
        if fetched.note:
            facts = LogFields(LogEvent.PROGRESS, job=job.id, file=job.pair.path, video=job.video_id, why=fetched.note)
            logger.warning("%s [%s]: %s", on_a_line(job.pair.path), job.id, fetched.note, extra=log_extra(facts))
        return o.Delivered(path_in(job.pair.folder, name), fetched.note)

    def _archive(self, job: Job) -> o.Outcome:
        delivered = job.state is State.DELIVERED
        root = self._folders.processed if delivered else self._folders.errors
        work = self._work.folder(job.id)
        pair = job.pair
        source = self._folders.inbox / pair.folder
        items = [outbox.Item(source / name, name) for name in pair.names] if self._is_unchanged(pair) else []
        try:
            work.mkdir(mode=0o700, exist_ok=True)
            if not delivered:
                text = work / SpoolFile.ERROR
                outbox.write_durably(text, error_text(job).encode("utf-8", "replace"))
                items.append(outbox.Item(text, error_name(pair.image), keep=True))
        except OSError as error:
            raise translate(error, str(work)) from error
        return o.Filed(self._place(items, root, pair.folder, work / SpoolFile.ARCHIVING) if items else ())

    def _is_unchanged(self, pair: Pair) -> bool:
        """Whether what still lies in the inbox is what the job was made from: anything newer is another order."""
        return all(found in {None, listed} for found, listed in self._looks(pair))

    def _looks(self, pair: Pair) -> Iterator[tuple[Stamp | None, Stamp | None]]:
        """How each file of a pair looks now, None where it is gone, and how it looked when it was listed."""
        folder = self._folders.inbox / pair.folder
        for name, listed in zip(pair.names, (pair.image_stamp, pair.sidecar_stamp), strict=False):
            yield inbox.stamp(folder / name), listed

    def _restore(self, job: Job) -> o.Outcome:
        texts = [name for name in job.filed if name.endswith(ERROR_SUFFIX)]
        # Whatever lies in the errors folder has its text beside it.
        root, called = (self._folders.errors, "errors") if texts else (self._folders.processed, "processed")
        lock.require_marker(root)
        source = root / job.pair.folder
        items = [outbox.Item(source / name, name) for name in job.filed if name not in texts]
        intent = self._work.folder(job.id) / SpoolFile.RESTORING
        if not intent.exists() and all(inbox.stamp(item.source) is None for item in items):
            hint = "Drop the pair into the inbox again."
            return o.FailedForGood(f"{job.pair.image} is no longer in the {called} folder", hint)
        try:
            intent.parent.mkdir(mode=0o700, exist_ok=True)
            names = self._place(items, self._folders.inbox, job.pair.folder, intent)
            for name in texts:
                (source / name).unlink(missing_ok=True)
        except OSError as error:
            raise translate(error, str(intent.parent)) from error
        return o.Restored(self._as_it_lies(job.pair.folder, names))

    def _as_it_lies(self, folder: str, names: Sequence[str]) -> Pair | None:
        """The pair of these names in the inbox, the image's first; None if the image is not there."""
        found = [(name, inbox.stamp(self._folders.inbox / folder / name)) for name in names]
        match [(name, stamp) for name, stamp in found if stamp is not None]:
            case [(image, stamp), *sidecars] if image == names[0]:
                return Pair(folder, image, stamp, *(sidecars[0] if sidecars else ()))
            case _:
                return None

    def _place(self, items: Sequence[outbox.Item], root: Path, folder: str, intent: Path) -> tuple[str, ...]:
        lock.require_marker(root)
        try:
            return outbox.place(items, root, folder, intent, self._folders.access)
        except Blocked as error:
            roots = (root, self._folders.inbox)
            if _is_refusal(error) and all(os.access(each, os.W_OK | os.X_OK) for each in roots):
                # One person's subfolder must not stop everybody else's orders.
                raise Deferred(f"{error}. {error.hint}", everyone=True) from error
            raise


def _took(video: Video) -> int | None:
    """Milliseconds from the order to the clip, by the server's own clock; None where it does not tell."""
    if video.created_at is None or video.completed_at is None or video.completed_at < video.created_at:
        return None
    return 1000 * (video.completed_at - video.created_at)


def _is_refusal(error: Blocked) -> bool:
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in {errno.EACCES, errno.EPERM}
