"""Carries out one action for one job and returns its outcome. Does not use the state."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from sorawatch.core import outcome as o
from sorawatch.core.error_text import MOST_NAMED, error_text, returned_text
from sorawatch.core.job import Job, Pair, Stamp, path_in
from sorawatch.core.job_record import to_record
from sorawatch.core.lifecycle import Action
from sorawatch.core.log_fields import LogEvent, LogFields, log_extra
from sorawatch.core.naming import clip_name, error_name, full_name, one_line, returned_name, stem_of
from sorawatch.core.order_fields import from_text
from sorawatch.core.os_errors import translate
from sorawatch.core.pairing import TEXT_SUFFIXES
from sorawatch.core.purchase import tag_of
from sorawatch.core.reference_format import Format, ReferenceOptions
from sorawatch.core.video_responses import Status, Video
from sorawatch.daemon.actions.downloads import ClipDownloads
from sorawatch.daemon.actions.lost_submit import LostSubmitSearch
from sorawatch.edges import images, inbox, mounts, mp4, outbox
from sorawatch.edges.directories import opened
from sorawatch.edges.marker import require_marker
from sorawatch.edges.spool import Spool, SpoolFile
from sorawatch.edges.stale_texts import remove_if_stale, remove_moved_text
from sorawatch.errors import (
    TRIED_AGAIN,
    Blocked,
    Cause,
    Damaged,
    Deferred,
    ModelUnknown,
    NotSent,
    Rejected,
    SorawatchError,
    Unresolved,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from sorawatch.config import Folders
    from sorawatch.core.order import Model, Order
    from sorawatch.daemon.actions.active_uploads import ActiveUploads
    from sorawatch.daemon.actions.folder_use import FolderUse
    from sorawatch.daemon.actions.witnesses import Witnesses
    from sorawatch.edges.api import VideoApi

logger = logging.getLogger("sorawatch")


class Performer:
    """Carries out actions. Called from several threads at once."""

    def __init__(
        self,
        folders: Folders,
        spool: Spool,
        api: Callable[[], VideoApi],
        pictures: images.Pool,
        clip_checks: mp4.ClipChecks,
        catalogue: Mapping[str, Model],
        options: ReferenceOptions,
        uploads: ActiveUploads,
        witnesses: Witnesses,
        folder_use: FolderUse,
        same_clip_seconds: float,
        *,
        account: Callable[[], str | None],
        shared: bool,
    ) -> None:
        """Carries out actions with these parts.

        Args:
            account: the fingerprint of the present API key; None if it cannot be read.
            same_clip_seconds: as for `ClipDownloads`.
            shared: other machines may continue the work of this one, without its work folder.
        """
        self._account = account
        self._shared = shared
        self._folders = folders
        self._pictures = pictures
        self._reference_options = options
        self._spool = spool
        self._api = api
        self._search = LostSubmitSearch(api, witnesses)
        self._witnesses = witnesses
        self._downloads = ClipDownloads(api, spool, clip_checks, same_clip_seconds)
        self._catalogue = catalogue
        self._uploads = uploads
        self._folder_use = folder_use
        self._recorded: set[str] = set()
        """Ids of jobs whose video was written to their record. It may come from an earlier job or from `adopt`."""
        self._unknown_words: set[str] = set()
        """Unknown status words of the server that were logged already."""

    def __call__(self, action: Action, job: Job) -> o.Outcome:
        """Carry out ``action``. Each `SorawatchError` is converted to an outcome."""
        try:
            return self._act(action, job)
        except Unresolved as error:
            return o.AnswerLost(str(error), None if error.cause is None else self._cause(error.cause))
        except NotSent as error:
            return o.NotSent(str(error))
        except Rejected as error:
            return o.PermanentFailure(str(error), error.hint, about_content=error.about_content)
        except Deferred as error:
            if error.affects_all and action is Action.SUBMIT:
                return o.Blocked(
                    Cause(
                        str(error),
                        TRIED_AGAIN,
                        temporary=True,
                        retry_after=error.retry_after,
                        too_many_running=error.too_many_running,
                    )
                )
            return o.TemporaryFailure(
                str(error), error.retry_after, counts=not error.affects_all, answered=error.answered
            )
        except Blocked as error:
            return o.Blocked(self._cause(error))

    def _cause(self, error: Blocked) -> Cause:
        """The cause of an error. If the model is unknown, the models that the server offers are added to the hint."""
        cause = error.cause
        return replace(cause, hint=f"{cause.hint}{self._offered()}") if isinstance(error, ModelUnknown) else cause

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
                with self._folder_use.during(action, job):
                    return self._archive(job)
            case Action.RESTORE:
                with self._folder_use.during(action, job):
                    return self._restore(job)

    def _prepare(self, job: Job) -> o.Outcome:
        order = job.order
        assert order is not None
        # The client is loaded while another process decodes the picture, and not only once the order is to be sent.
        with suppress(SorawatchError):
            self._api()
        try:
            reference = self._prepared(job, order)
        except Damaged as error:
            if not mounts.is_network(mounts.file_system_of(self._folders.inbox / job.pair.path)):
                raise
            return o.Incomplete(str(error), error.hint)
        record = to_record(replace(job, order=replace(order, size=reference.size)))
        self._spool.write_record(job.id, record, flush=False)
        sent = hashlib.sha256(reference.data).hexdigest()
        return o.Prepared(reference.size, reference.digest, reference.note, sent)

    def _prepared(self, job: Job, order: Order) -> images.Reference:
        """Make the reference image and write it to the spool."""
        model = self._catalogue.get(order.model)
        if model is None:
            hint = "Describe it under models: in the configuration, or name another one in the sidecar."
            raise Rejected(f"the model {order.model} is no longer in the catalogue", hint)
        request = images.ReferenceRequest(model, order.size, order.fit, order.focus, self._reference_options)
        self._require_settled(job.pair)
        self._remove_stale_text(job.pair)
        try:
            reference = self._pictures.prepare(self._folders.inbox / job.pair.path, request, self._folders.inbox)
        finally:
            # If the file has changed meanwhile, the reference may have been made from a partly written picture.
            self._require_settled(job.pair)
        self._spool.write_reference(job.id, reference.data)
        return reference

    def _require_settled(self, pair: Pair) -> None:
        if inbox.stamp(self._folders.inbox, pair.path) != pair.image_stamp:
            raise Deferred(f"{pair.image} was changed or taken away after it was listed")

    def _submit(self, job: Job) -> o.Outcome:
        order = job.order
        assert order is not None
        assert job.token is not None
        if self._has_other_key(job):
            return o.NotSent("it was not sent, because the API key was replaced")
        # Before the reference is made, which can take long.
        self._uploads.require(job.token)
        try:
            is_as_listed = all(found == listed for found, listed in self._stamps(job.pair))
        except Deferred as error:
            # This folder cannot be used now, for example since a link is in its place. Others can.
            return o.TemporaryFailure(str(error), counts=False)
        if not is_as_listed:
            why = f"{job.pair.image} or its sidecar was changed or taken away after it was listed"
            return o.TemporaryFailure(why, counts=False)
        reference = self._spool.reference(job.id, job.reference_digest) or self._prepared_again(job, order)
        if reference is None:
            return o.ReferenceLost()
        self._spool.write_record(job.id, to_record(job))
        try:
            with self._uploads.one(job.token):
                video = self._send(job, order, reference, job.token)
        except (Deferred, Rejected, Blocked, NotSent):
            self._spool.write_record(job.id, to_record(replace(job, token=None)))
            raise
        if self._witnesses.owner(video.id) not in {None, job.id}:
            return o.AnswerLost(f"the server answered with the id of another job's video ({video.id})")
        self._witnesses.add(video.id, job)
        with suppress(Deferred, Blocked):
            self._spool.write_record(job.id, to_record(replace(job, video_id=video.id)))
            self._recorded.add(job.id)
        return o.Accepted(video.id, video.rest)

    def _prepared_again(self, job: Job, order: Order) -> bytes | None:
        """The reference image of a job that another machine prepared; None if the result differs here."""
        try:
            reference = self._prepared(job, order)
        except Rejected:
            return None
        return reference.data if reference.digest == job.digest else None

    def _send(self, job: Job, order: Order, reference: bytes, token: str) -> Video:
        form = Format.of(reference)
        from sorawatch.edges.api import OrderTerms, Picture  # noqa: PLC0415 -- the HTTP library delays the start

        terms = OrderTerms(
            order.model,
            order.prompt,
            str(order.size),
            str(order.seconds),
            tag_of(token),
            self._catalogue[order.model].fps if order.model in self._catalogue else None,
            from_text(order.fields),
        )
        name = stem_of(job.pair.image).encode("ascii", "replace").decode().replace("?", "_")
        picture = Picture(reference, name + form.suffix, form.mime)
        return self._api().submit(terms, picture, before_body=lambda: self._uploads.require(token))

    def _offered(self) -> str:
        """A sentence with the models that the server offers, known models first; empty if they cannot be listed."""
        try:
            names = self._api().models()
        except SorawatchError:
            return ""
        known = sorted(names, key=lambda name: name not in self._catalogue)
        more = f" and {len(known) - MOST_NAMED:,} more" if len(known) > MOST_NAMED else ""
        return f" It offers: {', '.join(known[:MOST_NAMED])}{more}." if known else ""

    def _resolve(self, job: Job) -> o.Outcome:
        record = self._spool.record(job.id)
        video_id = record.get("video_id") if record and record.get("token") == job.token else None
        if video_id and self._witnesses.owner(video_id) in {None, job.id}:
            return o.Accepted(video_id)
        found = self._search.search(job)
        if isinstance(found, o.Searched) and not found.candidates and self._has_other_key(job):
            return o.Unlisted("the order was sent with another API key, whose videos this one may not list")
        return found

    def _has_other_key(self, job: Job) -> bool:
        """Whether the order was sent with another API key than the present one."""
        return job.account is not None and self._account() not in {None, job.account}

    def _poll(self, job: Job) -> o.Outcome:
        assert job.video_id is not None
        if job.id not in self._recorded:
            with suppress(Deferred, Blocked):
                self._spool.write_record(job.id, to_record(job))
                self._recorded.add(job.id)
        try:
            video = self._api().retrieve(job.video_id, _model_of(job))
        except Rejected as error:
            # A new video may not be known to all machines of the server yet, so one such answer proves nothing.
            return o.TemporaryFailure(str(error), other_key=self._has_other_key(job))
        except Deferred as error:
            return o.TemporaryFailure(str(error), error.retry_after, counts=False, answered=error.answered)
        self._witnesses.add(job.video_id, job)
        match video.status:
            case Status.COMPLETED:
                return o.Rendered(_took(video))
            case Status.FAILED:
                assert video.failure is not None
                return o.GenerationFailed(video.failure)
            case _:
                self._log_unknown_word(video)
                return o.Pending(video.progress)

    def _log_unknown_word(self, video: Video) -> None:
        """Log each unknown status once: it counts as rendering, but might mean that the video is finished."""
        word = video.unknown_status
        if word is not None and word not in self._unknown_words:
            self._unknown_words.add(word)
            logger.warning('the server calls a video "%s", which is unknown here; it counts as still rendering', word)

    def _deliver(self, job: Job) -> o.Outcome:
        assert job.video_id is not None
        try:
            fetched = self._downloads.download(job.id, job.video_id, _model_of(job))
        except Rejected as error:
            if not self._has_other_key(job):
                raise
            return o.TemporaryFailure(str(error), other_key=True)
        if isinstance(fetched, o.TemporaryFailure):
            return fetched
        item = outbox.Item(fetched.path, clip_name(job.pair.image, fetched.suffix), keep=True)
        intent = self._spool.folder(job.id) / SpoolFile.PUBLISHING
        with self._folder_use.during(Action.DELIVER, job):
            if self._shared and (chosen := self._chosen_name(job, item, intent)):
                return chosen
            (name,) = self._place([item], self._folders.outbox, job.pair.folder, intent)
        if fetched.note:
            facts = LogFields(LogEvent.PROGRESS, job=job.id, file=job.pair.path, video=job.video_id, why=fetched.note)
            logger.warning("%s [%s]: %s", one_line(job.pair.path), job.id, fetched.note, extra=log_extra(facts))
        return o.Delivered(path_in(job.pair.folder, name), fetched.note)

    def _chosen_name(self, job: Job, item: outbox.Item, intent: Path) -> o.NameChosen | None:
        """The name to be saved before the clip appears under it; None if the name that is saved is to be used.

        Without it, a machine that continues after a crash could not know that the clip has appeared already.
        """
        folder, root, access = job.pair.folder, self._folders.outbox, self._folders.access
        require_marker(root)
        try:
            if intent.exists():
                # An earlier call has begun to publish it.
                return None
            with open(item.source, "rb") as clip:
                digest = hashlib.file_digest(clip, "sha256").hexdigest()
            if job.publishing is not None and job.publishing_digest == digest:
                name = job.publishing.rpartition("/")[2]
                if not outbox.is_taken(name, root, folder, item.source, access):
                    outbox.plan(intent, item.name, name)
                    return None
        except OSError as error:
            raise translate(error, str(intent.parent)) from error
        name = outbox.free_name(item.name, root, folder, access)
        return o.NameChosen(path_in(folder, name), digest)

    def _archive(self, job: Job) -> o.Outcome:
        has_clip = job.clip is not None
        root = self._folders.processed if has_clip else self._folders.errors
        work = self._spool.make_folder(job.id)
        pair = job.pair
        names = pair.names if self._is_unchanged(pair) else ()
        items = [_item_of(self._folders.inbox, pair.folder, name) for name in names]
        intent = work / SpoolFile.ARCHIVING
        try:
            if not has_clip:
                self._remove_stale_text(pair)
                # With an intent, an interrupted call may have moved the picture. Its text must be the same again.
                is_there = intent.exists() or inbox.stamp(self._folders.inbox, pair.path) is not None
                has_pair = bool(items) and is_there
                text = self._written(work, error_text(job, has_pair=has_pair))
                items.append(outbox.Item(text, error_name(pair.image), keep=True))
                # Of two pictures of one stem, the second keeps its name too, because the advice names it.
                items = [replace(item, spare_name=full_name(item.name, pair.image)) for item in items]
            elif job.hint:
                items.append(outbox.Item(self._written(work, returned_text(job)), returned_name(pair.image), keep=True))
        except OSError as error:
            raise translate(error, str(work)) from error
        return o.Archived(self._place(items, root, pair.folder, intent) if items else ())

    @staticmethod
    def _written(work: Path, text: str) -> Path:
        """The file in the work folder with this text."""
        path = work / SpoolFile.ERROR
        outbox.write_durably(path, text.encode("utf-8", "replace"))
        return path

    def _remove_stale_text(self, pair: Pair) -> None:
        """Remove the text of a former failure, from which the pair was moved back into the inbox by hand."""
        text = error_name(pair.image)
        for name in (text, full_name(text, pair.image)):
            remove_if_stale(self._folders.errors, path_in(pair.folder, name))
            remove_moved_text(self._folders.inbox, path_in(pair.folder, name))

    def _is_unchanged(self, pair: Pair) -> bool:
        """Whether the files in the inbox are those that the job was made from: changed files are another order.

        So is a picture that has got a sidecar since then.
        """
        stamps = dict(zip(pair.names, self._stamps(pair), strict=True))
        if any(found not in {None, listed} for found, listed in stamps.values()):
            return False
        has_sidecar = pair.sidecar is not None and stamps[pair.sidecar][0] is not None
        return has_sidecar or not inbox.has_sidecar(self._folders.inbox, pair.folder, pair.image)

    def _stamps(self, pair: Pair) -> Iterator[tuple[Stamp | None, Stamp | None]]:
        """For each file of a pair, its present stamp (None if it is missing), and its stamp when it was listed."""
        for name, listed in zip(pair.names, (pair.image_stamp, pair.sidecar_stamp), strict=False):
            yield inbox.stamp(self._folders.inbox, path_in(pair.folder, name)), listed

    def _restore(self, job: Job) -> o.Outcome:
        texts = [name for name in job.filed if name.endswith(TEXT_SUFFIXES)]
        root = self._folders.of_filed(job)
        called = "errors" if root == self._folders.errors else "processed"
        require_marker(root)
        folder = job.pair.folder
        names = [name for name in job.filed if name not in texts]
        # A person may have written another sidecar there, as the text had asked for.
        names += [name for name in inbox.sidecars(root, folder, names[:1]) if name not in names]
        items = [_item_of(root, folder, name) for name in names]
        intent = self._spool.make_folder(job.id) / SpoolFile.RESTORING
        if not intent.exists() and all(inbox.stamp(root, path_in(folder, name)) is None for name in names):
            hint = "Drop the pair into the inbox again."
            return o.PermanentFailure(f"{job.pair.image} is no longer in the {called} folder", hint)
        try:
            placed = self._place(items, self._folders.inbox, folder, intent)
            if texts:
                with opened(root, folder) as source:
                    for name in texts:
                        source.unlink(name, missing_ok=True)
        except OSError as error:
            raise translate(error, str(intent.parent)) from error
        return o.Restored(self._pair_of(folder, placed))

    def _pair_of(self, folder: str, names: Sequence[str]) -> Pair | None:
        """The pair of these files in the inbox; the first name is that of the image. None if the image is missing."""
        found = [(name, inbox.stamp(self._folders.inbox, path_in(folder, name))) for name in names]
        match [(name, stamp) for name, stamp in found if stamp is not None]:
            case [(image, stamp), *sidecars] if image == names[0]:
                return Pair(folder, image, stamp, *(sidecars[0] if sidecars else ()))
            case _:
                return None

    def _place(self, items: Sequence[outbox.Item], root: Path, folder: str, intent: Path) -> tuple[str, ...]:
        require_marker(root)
        try:
            return outbox.place(items, root, folder, intent, self._folders.access)
        except Blocked as error:
            roots = (root, self._folders.inbox)
            if _is_refusal(error) and all(os.access(each, os.W_OK | os.X_OK) for each in roots):
                # Missing rights in one subfolder must not stop the orders in others.
                raise Deferred(f"{error}. {error.hint}", affects_all=True) from error
            raise


def _item_of(root: Path, folder: str, name: str) -> outbox.Item:
    """A file below one of the four folders that is to be moved under its own name."""
    return outbox.Item(root / folder / name, name, root=root)


def _model_of(job: Job) -> str:
    return job.order.model if job.order is not None else ""


def _took(video: Video) -> int | None:
    """Milliseconds from the order to the finished video, by the server's timestamps; None if they are unusable."""
    if video.created_at is None or video.completed_at is None or video.completed_at < video.created_at:
        return None
    return 1000 * (video.completed_at - video.created_at)


def _is_refusal(error: Blocked) -> bool:
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in {errno.EACCES, errno.EPERM}
