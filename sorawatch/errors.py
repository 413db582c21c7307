"""The errors of the daemon and the command line, named for what must be done about them.

    SorawatchError
    ├── UsageError     the user must change a command or file; exit status 2
    │   ├── ConfigError    all problems of a configuration
    │   └── DamagedState   the state file cannot be read
    ├── Deferred       try this job again later
    ├── Rejected       never try this job again
    │   └── Damaged        its picture is damaged, or not completely written yet
    ├── Unresolved     the submit of this job may or may not have been accepted
    ├── NotSent        the submit of this job was not sent; it may be sent later
    └── Blocked        pause the submissions of all jobs until the cause is gone
        └── ModelUnknown   pause the submissions for this model

The code that calls ``requests``, Pillow, a database or the file system translates their exceptions into these at once,
with ``raise … from``. `sorawatch.core.yaml_tree` has one more error, ``Invalid``, which its caller turns into
``Rejected`` or ``ConfigError``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


class SorawatchError(Exception):
    """The base of all our errors. ``str()`` is always a message for people."""


class UsageError(SorawatchError):
    """The command line, or a file named on it, cannot be used. The process exits with status 2."""


class InUse(UsageError):
    """Another sorawatch works with the same state or inbox. It may end, so a service is started again."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem and its hint.

    ``where`` is the place (``config.yaml line 7, limits.in_flight``), ``what`` the problem with the value found, and
    ``hint`` what to write or do instead.
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
    """The state file exists, but sorawatch cannot read it: it is damaged or is another file."""


class Deferred(SorawatchError):
    """A temporary failure of one job. ``retry_after`` is how many seconds the server asks us to wait, if it does."""

    def __init__(
        self,
        reason: str,
        *,
        retry_after: float | None = None,
        too_many_running: bool = False,
        affects_all: bool = False,
        answered: bool = True,
    ) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        self.answered = answered
        """Whether the server answered at all."""
        self.too_many_running = too_many_running
        """Whether the server says that too many of our jobs are running at once."""
        self.affects_all = affects_all or too_many_running
        """Whether any other job would fail too now: the server is unreachable, or its rate limit is reached."""


class Rejected(SorawatchError):
    """A final failure of one job: what happened, and a hint what to do."""

    def __init__(self, reason: str, hint: str = "", *, about_content: bool = False) -> None:
        super().__init__(reason)
        self.hint = hint
        self.about_content = about_content
        """Whether it is about the prompt or picture of this job, so that it does not concern other jobs."""


class Damaged(Rejected):
    """An incomplete picture: damaged, or not completely visible yet on a share that shows new bytes late."""


class Unresolved(SorawatchError):
    """The answer to a submit was lost, or is unclear: the order may have been accepted and charged."""

    def __init__(self, reason: str, cause: Blocked | None = None) -> None:
        super().__init__(reason)
        self.cause = cause
        """The cause, if the answer names one that stops other orders too."""


class NotSent(SorawatchError):
    """A submit was withheld before its body was sent, so it cannot have been accepted."""


TRIED_AGAIN = "Nothing needs to be done: it is tried again automatically."
"""The hint of a cause that ends by itself."""


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
    """No order can be submitted now, as ``cause`` says.

    Temporary causes (a full disk, a missing share) may end without a person, so the next attempt is soon. The others
    wait for a person.
    """

    def __init__(self, reason: str, hint: str, *, temporary: bool = False, key_related: bool = False) -> None:
        super().__init__(reason)
        self.cause = Cause(reason, hint, temporary, key_related=key_related)

    @property
    def hint(self) -> str:
        """What to do about it."""
        return self.cause.hint


class ModelUnknown(Blocked):
    """The server does not offer the model of the order. Only orders for this model wait."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason, hint)
        self.cause = replace(self.cause, one_model=True)
