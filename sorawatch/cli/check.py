"""``sorawatch check``: finds problems with the setup before the daemon runs, and states how to solve them."""

from __future__ import annotations

import os
import shlex
import stat
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from sorawatch.app.build import api_connection
from sorawatch.app.changed_defaults import changed_defaults
from sorawatch.app.decoders import decoders
from sorawatch.app.folders import marked_folders, take_over_command
from sorawatch.app.state import StateLocation
from sorawatch.app.state_identity import known_state_id
from sorawatch.config import Config, KeySource, find_key
from sorawatch.config.rules import is_exposed
from sorawatch.core.error_text import MOST_NAMED
from sorawatch.core.os_errors import translate
from sorawatch.daemon.intake.watcher import watch_method
from sorawatch.edges import lock, mounts
from sorawatch.edges.confined import NoWorker
from sorawatch.edges.events import max_watches, watch_limit_error
from sorawatch.edges.marker import MARKER, is_marked, read_marker
from sorawatch.edges.store import Store
from sorawatch.errors import Blocked, ConfigError, Deferred, Rejected, SorawatchError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from sorawatch.edges.api import VideoApi
    from sorawatch.edges.confined import Confinement

_FOLDER_TIMEOUT = 10.0
"""Seconds within which the folders must respond."""
_CONFINEMENT_HINT = "Linux 5.13 or newer can have both; in a container, its seccomp profile must allow them."


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. ``hint`` is how to solve a problem, or empty. A ``grave`` one prevents a start."""

    what: str
    hint: str = ""
    grave: bool = False


def check(config: Config, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Check everything, the quick checks first. Nothing is ordered or changed."""
    yield Finding(f"the configuration {config.path} is sound")
    yield from _config_rights(config.path)
    marked, states = _known(config)
    responding = mounts.responding(config.folders.roots.values(), _FOLDER_TIMEOUT)
    sound = []
    for name, folder in config.folders.roots.items():
        finding = (
            _folder(name, folder, marked=str(folder) in marked) if folder in responding else _unreachable(name, folder)
        )
        if not finding.grave:
            finding = _marker(config, name, folder, states) or finding
        sound += [] if finding.grave else [folder]
        yield finding
    yield from _same_disk(config, sound)
    yield from _group(config)
    for cap, micros in config.limits.spending_caps.items():
        if micros == 0:
            yield Finding(f"{cap} is 0: nothing that costs money is bought", "For no cap, set it to null.")
    if config.folders.inbox in sound:
        yield from _watching(config)
    state = _state(config)
    yield state
    yield from _changed_defaults(config)
    taken = config.folders.inbox in sound and lock.is_locked(config.folders.inbox / lock.LOCK)
    if taken and not state.grave and not StateLocation.of(config).is_locked:
        hint = "Stop that one first, or use another inbox here."
        yield Finding(f"folders.inbox, {config.folders.inbox}: another sorawatch works on it", hint, grave=True)
    try:
        key = find_key(config, environ)
        if key is not None:
            key.read()
        api = api_connection(config, key, environ)()
    except ConfigError as error:
        for problem in error.problems:
            yield Finding(f"{problem.where}: {problem.what}", problem.hint, grave=True)
    else:
        yield _secrecy(key) if key is not None else Finding("api.auth, none: the server takes no key")
        yield from _server(config, api)
    if config.api.base_url.startswith("http://"):
        yield _plain_http(config)
    yield _decoders(config)
    if find_spec("pillow_heif") is None:
        yield Finding("HEIC pictures from phones cannot be read", "If you need them: pip install 'sorawatch[heif]'")


def _folder(name: str, path: Path, *, marked: bool) -> Finding:
    where = f"folders.{name}, {path}"
    quoted = shlex.quote(str(path))
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        mode = 0
    except OSError as error:
        fault = translate(error, str(path))
        hint = (
            fault.hint if isinstance(fault, Blocked) else "Check the path, and the disk or share that it is to be on."
        )
        return Finding(f"{where}: {error.strerror}", hint, grave=True)
    if not stat.S_ISDIR(mode):
        if os.path.lexists(path):
            return Finding(f"{where}: it is not a folder", "Name a folder.", grave=True)
        return Finding(f"{where}: there is no such folder", f"Make it: mkdir -p {quoted}", grave=True)
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        hint = f"Let the user who runs sorawatch read and write it: chown or chmod {quoted}"
        return Finding(f"{where}: it cannot be read and written by this user", hint, grave=True)
    if marked and not is_marked(path):
        hint = f"Mount its share. If the folder was replaced on purpose: touch {shlex.quote(str(path / MARKER))}"
        return Finding(f"{where}: it has lost its file {MARKER}, so its share is not mounted", hint, grave=True)
    return Finding(f"{where}: can be read and written")


def _unreachable(name: str, path: Path) -> Finding:
    where = f"folders.{name}, {path}"
    hint = "If it is on a share, check whether its server responds."
    return Finding(f"{where}: it has not answered for {_FOLDER_TIMEOUT:g} s", hint, grave=True)


def _marker(config: Config, name: str, path: Path, states: set[str]) -> Finding | None:
    """What prevents a start because of the marker of a folder. ``states`` are the UUIDs that the state may have."""
    try:
        named = read_marker(path)
    except Blocked as error:
        return Finding(f"folders.{name}: {error}", error.hint, grave=True)
    except SorawatchError as error:
        return Finding(f"folders.{name}: {error}", "See above.", grave=True)
    if path != config.folders.inbox or not named or named in states:
        return None
    what = f"folders.{name}, {path}: it belongs to the state {named} of another sorawatch"
    return Finding(what, f"Stop that one, then: {take_over_command(config.path)}", grave=True)


def _known(config: Config) -> tuple[list[str], set[str]]:
    """The folders that were used with the state, and the UUIDs that it may have; empty if they cannot be read."""
    try:
        location = StateLocation.of(config)
        if not location.database.is_there():
            return [], set() if location.file is None else location.ledger.states()
        with closing(Store.open_for_reading(location.database)) as store, store.transaction() as tx:
            known = known_state_id(tx)
            return marked_folders(tx), location.ledger.states() if known is None else {known}
    except SorawatchError:
        return [], set()


def _changed_defaults(config: Config) -> Iterator[Finding]:
    """What a daemon of this version will tell at its first start."""
    with suppress(SorawatchError):
        database = StateLocation.of(config).database
        if database.is_there():
            with closing(Store.open_for_reading(database)) as store, store.transaction() as tx:
                change = changed_defaults(config, tx)
            if change is not None:
                yield Finding(*change)


def _same_disk(config: Config, sound: Sequence[Path]) -> Iterator[Finding]:
    folders = config.folders
    devices = {path.stat().st_dev for path in (folders.inbox, folders.errors, folders.processed) if path in sound}
    if len(devices) > 1:
        yield Finding("inbox, errors and processed are on different disks: originals are copied, then removed")


def _group(config: Config) -> Iterator[Finding]:
    group = config.folders.group
    if group is None or os.geteuid() == 0 or group in {os.getegid(), *os.getgroups()}:
        return
    hint = "Add that user to it, as root: usermod -aG GROUP USER. Until then files keep the user's own group."
    yield Finding(f"folders.group, {group}: the user who runs sorawatch is not in that group", hint)


def _watching(config: Config) -> Iterator[Finding]:
    inbox = config.folders.inbox
    method = watch_method(inbox, config.watch.mode)
    most = max_watches()
    if method.events and most is not None and (found := _folders_in(inbox, most)) > most:
        limit = watch_limit_error()
        yield Finding(f"the inbox has {found} folders or more, and {limit}", limit.hint)
    yield Finding(method.description(config.watch.rescan_seconds), method.hint)


def _folders_in(inbox: Path, most: int) -> int:
    """The number of folders. Counting stops at ``most + 1``."""
    counted = 0
    for counted, _ in enumerate(os.walk(inbox), 1):
        if counted > most:
            break
    return counted


def _state(config: Config) -> Finding:
    try:
        where = StateLocation.of(config)
        place = where.database.place
        if where.database.is_there():
            with closing(Store.open_for_reading(where.database)) as store, store.transaction() as tx:
                text = "a daemon is running on it" if where.has_daemon(tx) else "can be read"
            ledger = [where.ledger.path] if where.ledger.path.exists() else []
            for needed in (where.file.parent, where.file, *ledger) if where.file else ():
                if not os.access(needed, os.R_OK | os.W_OK, effective_ids=True):
                    hint = f"Let the user who runs sorawatch write it: chown or chmod {shlex.quote(str(needed))}"
                    return Finding(f"state, {place}: {needed} cannot be written by this user", hint, grave=True)
            if where.file and _is_open(where.file.parent):
                hint = f"chmod o-w {shlex.quote(str(where.file.parent))}"
                return Finding(f"state, {place}: everybody on this machine can remove or replace it", hint, grave=True)
            return Finding(f"state, {place}: {text}")
        candidates = (where.folder, *where.folder.parents)
        parent = next(folder for folder in candidates if os.access(folder, os.F_OK, effective_ids=True))
        if not os.access(parent, os.W_OK | os.X_OK, effective_ids=True):
            key = "state: state.db" if where.file else "work: work"
            hint = f'Make {where.folder} for this user, or set "{key}" to keep it beside the configuration.'
            return Finding(f"state, {place}: {parent} cannot be written by this user", hint, grave=True)
    except ConfigError as error:
        return Finding(f"{error.problems[0].where}: {error.problems[0].what}", error.problems[0].hint, grave=True)
    except Blocked as error:
        return Finding(f"state: {error}", error.hint, grave=True)
    except SorawatchError as error:
        return Finding(f"state: {error}", "See above.", grave=True)
    return Finding(f"state, {place}: will be made at the first start")


def _is_open(folder: Path) -> bool:
    """Whether everybody can replace the files in a folder that belong to others."""
    with suppress(OSError):
        mode = folder.stat().st_mode
        return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX
    return False


def _config_rights(path: Path) -> Iterator[Finding]:
    """Whoever can write the configuration can spend the money of the account, at a server of their own too."""
    try:
        status = path.stat()
    except OSError:
        return
    if status.st_mode & stat.S_IWOTH:
        hint = f"chmod o-w {shlex.quote(str(path))}"
        yield Finding(f"{path}: everybody on this machine can change it, and so spend your money", hint, grave=True)
    elif _is_open(path.parent):
        hint = f"chmod o-w {shlex.quote(str(path.parent))}"
        yield Finding(f"{path.parent}: everybody on this machine can replace {path.name} in it", hint, grave=True)


def _decoders(config: Config) -> Finding:
    """What a worker reports that is started for this."""
    reported: list[Confinement] = []
    try:
        with decoders(config, reported.append) as pictures:
            pictures.start()
    except NoWorker as error:
        hint = "Its own message is above. Check the installation and decoders.memory_mb."
        return Finding(f"decoders: {error}", hint, grave=True)
    hint = "" if reported[0].is_complete else _CONFINEMENT_HINT
    return Finding(f"decoders: the processes that read pictures and clips {reported[0]}", hint)


def _secrecy(key: KeySource) -> Finding:
    try:
        if key.is_readable_by_all:
            hint = f"chmod 600 {shlex.quote(str(key.path))}"
            return Finding(f"{key.where}: everybody on this machine can read it", hint, grave=True)
    except OSError as error:
        return Finding(str(translate(error, key.where)), "Check the file.", grave=True)
    return Finding(f"{key.where}: holds a key")


def _plain_http(config: Config) -> Finding:
    if config.api.allow_http:
        return Finding(f"api.base_url, {config.api.base_url}: the key travels unencrypted", "Use https:// if you can.")
    if is_exposed(config.api.base_url):
        return Finding(f"api.base_url, {config.api.base_url}: pictures and prompts travel unencrypted; there is no key")
    return Finding(f"api.base_url, {config.api.base_url}: plain http, but only within this machine")


def _server(config: Config, api: VideoApi) -> Iterator[Finding]:
    where = f"api.base_url, {config.api.base_url}"
    for note in api.dialect.notes:
        yield Finding(f"api.dialect, {api.dialect.name}", note)
    if api.dialect.list is None:
        yield from _unlisted_server(config, api, where)
        return
    try:
        try:
            api.page(limit=1)
        except Rejected:
            yield Finding(
                f"{where}: answers, but has no list of videos",
                "An order whose answer is lost will be held for you to decide; see api.unresolved_submit.",
            )
        except Blocked as error:
            yield Finding(f"{where}: {error}", error.hint, grave=True)
            return
        except Deferred as error:
            hint = "Check the address, the network and the proxy settings of the environment."
            yield Finding(f"{where}: {error}", hint, grave=True)
            return
        else:
            text = "answers and accepts the key" if config.api.auth != "none" else "answers"
            yield Finding(f"{where}: {text}")
        yield from _models(config, api.models())
    except SorawatchError:
        yield Finding(f"{where}: does not tell which models it offers")
    finally:
        api.close()


def _unlisted_server(config: Config, api: VideoApi, where: str) -> Iterator[Finding]:
    """A server whose dialect has no list of videos: its free request, if it has one, shows whether the key is right."""
    dialect = api.dialect
    try:
        if dialect.check is None:
            what = f"{where}: was not asked, because {dialect.name} has no request that costs nothing"
            yield Finding(what, "The first order shows whether the key and the model are right.")
            return
        offered = api.models()
        proved = dialect.key is not None and dialect.check.proves_key
        yield Finding(f"{where}: answers{' and accepts the key' if proved else ''}")
        if dialect.key is not None and not proved:
            yield Finding(f"{where}: no request that costs nothing proves the key", "The first order shows it.")
        yield from _models(config, offered)
        if not offered:
            yield Finding(f"{where}: does not tell which models it offers")
    except Blocked as error:
        yield Finding(f"{where}: {error}", error.hint, grave=True)
    except SorawatchError as error:
        hint = "Check the address, the network and the proxy settings of the environment."
        yield Finding(f"{where}: {error}", hint, grave=True)
    finally:
        api.close()


def _models(config: Config, offered: tuple[str, ...]) -> Iterator[Finding]:
    model = config.defaults.model
    if model and offered and model not in offered:
        videos = [name for name in offered if name in config.catalogue][:MOST_NAMED] or list(offered[:MOST_NAMED])
        hint = f"Set video.model to one that it offers, such as {', '.join(videos)}."
        yield Finding(f"video.model, {model}: the server does not list it", hint, grave=True)
