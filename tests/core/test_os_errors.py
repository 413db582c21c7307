"""What a failing file operation means."""

from __future__ import annotations

import errno
import os

import pytest

from sorawatch.core.os_errors import translate
from sorawatch.errors import Blocked, Deferred


def fault(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("number", "reason", "hint"),
    [
        (
            errno.ENOSPC,
            "/nas/outbox: No space left on device. The disk is full",
            "Make room on the disk that holds /nas/outbox.",
        ),
        (
            errno.EDQUOT,
            "/nas/outbox: Disk quota exceeded. The disk is full",
            "Make room on the disk that holds /nas/outbox.",
        ),
        (
            errno.EACCES,
            "/nas/outbox: Permission denied. Access is refused",
            "Give sorawatch's user access to /nas/outbox.",
        ),
        (
            errno.EPERM,
            "/nas/outbox: Operation not permitted. Access is refused",
            "Give sorawatch's user access to /nas/outbox.",
        ),
        (
            errno.EROFS,
            "/nas/outbox: Read-only file system. It cannot be written",
            "Mount what holds /nas/outbox for writing.",
        ),
        (
            errno.ENOTCONN,
            "/nas/outbox: Transport endpoint is not connected. The share does not answer",
            "Mount the share that holds /nas/outbox again.",
        ),
        (
            errno.ESTALE,
            "/nas/outbox: Stale file handle. The share does not answer",
            "Mount the share that holds /nas/outbox again.",
        ),
        (
            errno.EHOSTDOWN,
            "/nas/outbox: Host is down. The share does not answer",
            "Mount the share that holds /nas/outbox again.",
        ),
        (
            errno.ETIMEDOUT,
            "/nas/outbox: Connection timed out. The share does not answer",
            "Mount the share that holds /nas/outbox again.",
        ),
        (
            errno.ENODEV,
            "/nas/outbox: No such device. The share does not answer",
            "Mount the share that holds /nas/outbox again.",
        ),
    ],
)
def test_what_stops_everybody_is_told_with_its_mend_and_passes(number: int, reason: str, hint: str) -> None:
    found = translate(fault(number), "/nas/outbox")
    assert isinstance(found, Blocked)
    assert (str(found), found.hint, found.cause.temporary) == (reason, hint, True)


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOENT, errno.EMFILE, errno.EBUSY, errno.ENAMETOOLONG])
def test_anything_else_is_tried_again(number: int) -> None:
    found = translate(fault(number), "beach.jpg")
    assert isinstance(found, Deferred)
    assert str(found) == f"beach.jpg: {os.strerror(number)}"


@pytest.mark.parametrize(
    ("number", "affects_all"),
    [(errno.EIO, True), (errno.EMFILE, True), (errno.ENOMEM, True), (errno.ENOENT, False), (errno.ENAMETOOLONG, False)],
)
def test_what_the_system_fails_affects_all(number: int, affects_all: bool) -> None:
    found = translate(fault(number), "beach.jpg")
    assert isinstance(found, Deferred)
    assert found.affects_all is affects_all


def test_nothing_on_a_disk_ends_a_job() -> None:
    assert all(isinstance(translate(fault(number), "x"), Blocked | Deferred) for number in errno.errorcode)


def test_an_error_without_a_number_is_told_in_its_own_words() -> None:
    assert str(translate(OSError("cannot seek"), "beach.jpg")) == "beach.jpg: cannot seek"
