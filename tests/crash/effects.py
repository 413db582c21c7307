"""What a process does to the world, announced from outside its code: before, halfway through and after each effect.

The program under test is left as it is. Wrapped are the calls of the standard library, of SQLAlchemy and of
urllib3 through which everything goes out; an audit hook (PEP 578) tells of what went past the wrappers.
"""

from __future__ import annotations

import builtins
import http.client
import io
import os
import sys
import threading
from _ctypes import CFuncPtr
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from types import ModuleType
from typing import Any

import sqlalchemy as sa
import urllib3.connection
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.sql.compiler import SQLCompiler

from tests.crash.names import Names

_ALONE = {
    "mkdir": "make folder", "rmdir": "remove folder", "unlink": "remove", "remove": "remove",
    "truncate": "truncate", "utime": "set times of", "chmod": "set mode of",
}  # fmt: skip
"""Calls of ``os`` about one path, and what they do in words."""

_PAIRED = ("rename", "replace", "link", "symlink")
"""Calls of ``os`` about two paths."""

_DESCRIBED = {"fsync": "fsync", "fdatasync": "fsync", "ftruncate": "truncate", "write": "write", "pwrite": "write"}
"""Calls of ``os`` about a descriptor."""

_AUDITED = {"os.rename", "os.link", "os.symlink", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.utime"}
"""Events about paths that only the wrapped calls may raise."""

_FOLDER_ARGUMENT = {
    "os.rename": 2,
    "os.link": 2,
    "os.symlink": 2,
    "os.remove": 1,
    "os.mkdir": 2,
    "os.rmdir": 1,
    "os.utime": 3,
}
"""Which argument of an event is the descriptor of the folder in which the path begins."""

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Side(StrEnum):
    BEFORE = "before"
    HALFWAY = "halfway through"
    AFTER = "after"


class Observer:
    """Tells ``heed`` each moment of this process, such as ``after link work/a.jpg/clip.mp4 to outbox/a.mp4 #1``.

    The number counts equal moments. ``heed`` is called in the thread that acts, with the moment and how many there
    have been.
    """

    def __init__(self, names: Names, heed: Callable[[str, int], None]) -> None:
        self.names = names
        self.moments: list[str] = []
        """All up to now, in the order they came."""
        self.unseen: list[str] = []
        """What happened without being announced; empty unless this module lacks a wrapper."""
        self._heed = heed
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._local = threading.local()
        self._changes: list[str] = []

    def install(self) -> None:
        """Wrap everything, for the rest of this process's life."""
        self._wrap_files()
        self._wrap_c_functions()
        self._wrap_store()
        self._wrap_requests()
        sys.addaudithook(self._audit)

    def tell(self, side: Side, effect: str) -> None:
        with self._lock:
            self._counts[f"{side} {effect}"] += 1
            moment = f"{side} {effect} #{self._counts[f'{side} {effect}']}"
            self.moments.append(moment)
            number = len(self.moments)
        self._heed(moment, number)

    @contextmanager
    def announced(self, *effects: str) -> Iterator[None]:
        """The block has these effects, all at once; if it raises it has none."""
        for effect in effects:
            self.tell(Side.BEFORE, effect)
        depth = getattr(self._local, "depth", 0)
        self._local.depth = depth + 1
        try:
            yield
        finally:
            self._local.depth = depth
        for effect in effects:
            self.tell(Side.AFTER, effect)

    def _wrap(self, holder: Any, name: str, effect_of: Callable[..., str | None]) -> None:
        """Announce ``holder.name`` with the effect that ``effect_of`` finds in its arguments, if it is ours."""
        original = getattr(holder, name)

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            effect = effect_of(*args, **kwargs)
            if effect is None:
                return original(*args, **kwargs)
            with self.announced(effect):
                return original(*args, **kwargs)

        wrapper.__name__ = name
        setattr(holder, name, wrapper)

    # files

    def _wrap_files(self) -> None:
        place = self.names.place

        def alone(what: str) -> Callable[..., str | None]:
            def effect_of(path: Any, *_: Any, dir_fd: int | None = None, **__: Any) -> str | None:
                return None if (where := place(path, dir_fd)) is None else f"{what} {where}"

            return effect_of

        def paired(what: str) -> Callable[..., str | None]:
            def effect_of(
                source: Any, target: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None, **_: Any
            ) -> str | None:
                where = place(source, src_dir_fd)
                return None if where is None else f"{what} {where} to {place(target, dst_dir_fd)}"

            return effect_of

        def described(what: str) -> Callable[..., str | None]:
            def effect_of(descriptor: int, *_: Any) -> str | None:
                return None if (where := place(f"/proc/self/fd/{descriptor}")) is None else f"{what} {where}"

            return effect_of

        def opening(path: Any, flags: int, *_: Any, dir_fd: int | None = None) -> str | None:
            return alone("open")(path, dir_fd=dir_fd) if flags & _WRITES else None

        for name, what in _ALONE.items():
            self._wrap(os, name, alone(what))
        for name in _PAIRED:
            self._wrap(os, name, paired(name))
        for name, what in _DESCRIBED.items():
            self._wrap(os, name, described(what))
        self._wrap(os, "open", opening)
        builtins.open = io.open = self._opener(builtins.open)

    def _opener(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def opened(
            file: Any, mode: str = "r", buffering: int = -1, *args: Any, opener: Any = None, **kwargs: Any
        ) -> Any:
            where = self.names.place(file) if {*"wax+"} & {*mode} else None
            if where is None:
                return original(file, mode, buffering, *args, opener=opener, **kwargs)
            raw = _Raw(self, where, file, mode, opener)
            if not buffering:
                return raw
            whole = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
            return whole if "b" in mode else io.TextIOWrapper(whole, *args, **kwargs)

        return opened

    def _wrap_c_functions(self) -> None:
        """Those of the C library that modules of the program hold; all that are wrapped here are about paths."""

        def announcing(function: Any) -> Callable[..., int]:
            def wrapper(*args: Any) -> int:
                places = [self.names.place(path, folder) for folder, path in paths_of(args)]
                effect = f"{function.__name__} {' to '.join(map(str, places))}"
                self.tell(Side.BEFORE, effect)
                status: int = function(*args)
                if status >= 0:
                    self.tell(Side.AFTER, effect)
                return status

            wrapper.__name__ = function.__name__
            return wrapper

        for module, name, function in c_functions():
            setattr(module, name, announcing(function))

    # the store

    def _wrap_store(self) -> None:
        dialect: Any = DefaultDialect
        commit, rollback = dialect.do_commit, dialect.do_rollback

        @sa.event.listens_for(sa.Engine, "before_cursor_execute")
        def _(_connection: Any, _cursor: Any, _statement: str, _values: Any, context: Any, _many: bool) -> None:
            compiled = context.compiled
            if isinstance(compiled, SQLCompiler) and (compiled.isinsert or compiled.isupdate):
                self._changes += [
                    self.names.change(row) for row in context.compiled_parameters if "state" in row and "image" in row
                ]

        def committing(self_: Any, connection: Any) -> None:
            changes, self._changes = self._changes, []
            with self.announced(*(changes or ["commit of nothing new"])):
                commit(self_, connection)

        def rolling_back(self_: Any, connection: Any) -> None:
            self._changes = []
            rollback(self_, connection)

        dialect.do_commit, dialect.do_rollback = committing, rolling_back

    # requests

    def _wrap_requests(self) -> None:
        connection: Any = urllib3.connection.HTTPConnection
        base: Any = http.client.HTTPConnection
        request, send = connection.request, base.send

        def requesting(self_: Any, method: str, url: str, body: Any = None, *args: Any, **kwargs: Any) -> Any:
            self._local.errand = self.names.errand(method, url, body)
            return request(self_, method, url, body, *args, **kwargs)

        def sending(self_: Any, data: Any) -> None:
            if self_.sock is None:
                self_.connect()
            effect = f"send {self._local.errand}"
            with self.announced(effect):
                half = len(data) // 2
                send(self_, data[:half])
                self.tell(Side.HALFWAY, effect)
                send(self_, data[half:])

        def errand(what: str) -> Callable[..., str | None]:
            return lambda *_: f"{what} {self._local.errand}"

        connection.request, base.send = requesting, sending
        self._wrap(connection, "connect", lambda *_: f"connect for {self._local.errand.partition(' of ')[0]}")
        self._wrap(connection, "getresponse", errand("await the answer to"))
        for name in ("read", "read1"):
            self._wrap(http.client.HTTPResponse, name, errand("read the answer to"))

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if getattr(self._local, "depth", 0):
            return
        if event == "open":
            path, _, flags = arguments
            ours = not isinstance(path, int) and bool(flags & _WRITES) and self.names.place(path) is not None
        else:
            ours = event in {"socket.connect", "ctypes.dlsym"} or (
                event in _AUDITED and self.names.place(arguments[0], _folder_of(event, arguments)) is not None
            )
        if ours:
            self.unseen.append(f"{event} {arguments}")


def _folder_of(event: str, arguments: tuple[Any, ...]) -> int | None:
    """The descriptor of the folder in which the first path of an audited event begins; None or -1 if there is none."""
    position = _FOLDER_ARGUMENT.get(event)
    return None if position is None else arguments[position]


def paths_of(args: Sequence[Any]) -> list[tuple[int | None, bytes]]:
    """The paths among the arguments of a C function, each with the descriptor before it."""
    before = (None, *args)
    return [
        (fd if isinstance(fd, int) else None, arg)
        for fd, arg in zip(before, args, strict=False)
        if isinstance(arg, bytes)
    ]


CFunction = tuple[ModuleType, str, Any]
"""A C function that a module of the program holds: the module, the name there, and the function."""


def c_functions() -> list[CFunction]:
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] == "sorawatch"]
    return [
        (module, name, value)
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, CFuncPtr)
    ]


class _Raw(io.FileIO):
    """A file open for writing whose every write of the operating system is announced."""

    def __init__(self, observer: Observer, where: str, file: Any, mode: str, opener: Any) -> None:
        self._observer = observer
        self._where = where
        # A file that is open already was announced, and so is the call that an opener makes.
        effects = [] if isinstance(file, int) or opener else [f"open {where}"]
        with observer.announced(*effects):
            super().__init__(file, "".join(sign for sign in mode if sign not in "bt"), opener=opener)

    def write(self, data: Any, /) -> int:
        view = memoryview(data).cast("B")
        half = len(view) // 2
        effect = f"write {self._where}"
        with self._observer.announced(effect):
            written = super().write(view[:half])
            self._observer.tell(Side.HALFWAY, effect)
            return written + super().write(view[half:]) if written == half else written

    def truncate(self, size: int | None = None, /) -> int:
        with self._observer.announced(f"truncate {self._where}"):
            return super().truncate(size)
