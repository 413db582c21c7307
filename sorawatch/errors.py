"""The errors of the daemon and the command line, named for what must be done about them.

    SorawatchError
    ├── UsageError     the person at the keyboard: say it and exit 2
    │   ├── ConfigError    every problem of a configuration at once
    │   └── DamagedState   the state file is not what was written
    ├── Deferred       this job, later
    ├── Rejected       this job, never
    │   └── Damaged        unless its picture is not all there yet
    ├── Unresolved     this job's submit may or may not have been accepted
    └── Blocked        no job: submissions pause until the cause is gone
        └── ModelUnknown   the server's list of models helps

Whoever calls ``requests``, Pillow, a database or the file system translates its exceptions into these on the spot,
with ``raise … from``: that is the edges, and above them the few functions that touch a file themselves. `core.tree`
has one more, ``Invalid``, which its catcher turns into ``Rejected`` or ``ConfigError``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


class SorawatchError(Exception):
    """The root. ``str()`` is always a sentence a person can act on."""


class UsageError(SorawatchError):
    """The command line or a file given on it cannot be used; the process exits with 2."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem and its hint.

    ``where`` names the place (``config.yaml line 7, limits.in_flight``), ``what`` the fault with the value
    found, ``hint`` what to write or do instead.
    """

    where: str
    what: str
    hint: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}. {self.hint}"


class ConfigError(UsageError):
    """A configuration that cannot be used, with all its problems."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class DamagedState(UsageError):
    """The state file is there, and not what sorawatch wrote."""


class Deferred(SorawatchError):
    """A temporary failure of one job. ``retry_after`` is the server's wish in seconds, if it named one."""

    def __init__(
        self,
        reason: str,
        *,
        retry_after: float | None = None,
        crowded: bool = False,
        everyone: bool = False,
        answered: bool = True,
    ) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        self.answered = answered
        """The server said something, if nothing that could be understood."""
        self.crowded = crowded
        """The server says that too many of our jobs run at once."""
        self.everyone = everyone or crowded
        """Any other job would have fared the same now: a server out of reach, a rate limit."""


class Rejected(SorawatchError):
    """A final failure of one job: what happened, and what the person can do about it."""

    def __init__(self, reason: str, hint: str = "", *, own: bool = False) -> None:
        super().__init__(reason)
        self.hint = hint
        self.own = own
        """It is about this job's prompt or picture, and says nothing of other jobs."""


class Damaged(Rejected):
    """A picture that is not whole: damaged for good, or not all there yet on a share that shows new bytes late."""


class Unresolved(SorawatchError):
    """A submit whose answer was lost: the order may have been accepted and charged."""

    def __init__(self, reason: str, cause: Blocked | None = None) -> None:
        super().__init__(reason)
        self.cause = cause
        """What the answer says that stops other orders too."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why orders cannot be submitted now: any order, or those for one model."""

    reason: str
    hint: str
    temporary: bool
    """It may end by itself, so it is tried again soon; else a person must act."""
    retry_after: float | None = None
    """Seconds that the server asks to wait."""
    too_many_running: bool = False
    """The server says that too many of our videos run at once."""
    key_related: bool = False
    """Another API key ends it."""
    one_model: bool = False
    """It holds for orders for the same model only."""


class Blocked(SorawatchError):
    """No order can be submitted now, whichever it is.

    ``passing`` causes (a full disk, a share that is gone) may pass by themselves and are tried again soon; the
    others wait for a person.
    """

    def __init__(self, reason: str, hint: str, *, passing: bool = False, keyed: bool = False) -> None:
        super().__init__(reason)
        self.hint = hint
        self.passing = passing
        self.keyed = keyed
        """Another API key ends it."""

    @property
    def cause(self) -> Cause:
        """What it says, as a value."""
        return Cause(str(self), self.hint, self.passing, key_related=self.keyed)


class ModelUnknown(Blocked):
    """The server does not offer the model of the order, and may offer others: only orders for this model wait."""

    @property
    def cause(self) -> Cause:
        return replace(super().cause, one_model=True)
