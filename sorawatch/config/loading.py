"""Reads a configuration from its file and the environment, and finds all problems of both at once."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from sorawatch.config import dialect, dialect_file, rules
from sorawatch.config.catalogue import check_prices, default_terms, read_models
from sorawatch.config.sections import (
    KEEP_DAYS,
    LIMITS,
    STATE,
    VIDEO,
    WORK,
    Api,
    Config,
    DecoderOptions,
    Duplicates,
    Folders,
    LogFormat,
    Logging,
    LogLevel,
    UnresolvedSubmit,
    WatchMode,
    WatchOptions,
)
from sorawatch.core.decoder_limits import LEAST_MEMORY
from sorawatch.core.dialect import NO_KEY
from sorawatch.core.job import Billing
from sorawatch.core.limits import read_limits
from sorawatch.core.reference_format import Format, ReferenceOptions
from sorawatch.core.retry_policy import LATE_TIMEOUTS, WITNESS_TIMEOUTS, Policy
from sorawatch.core.sidecar import OrderSettings, catalogue_problems, prompt, read_video_keys
from sorawatch.core.value_checks import (
    MAX_DURATION,
    CheckError,
    Findings,
    Section,
    boolean,
    choice,
    integer,
    nearest,
    not_negative,
    nullable,
    positive,
)
from sorawatch.core.waits import Waits
from sorawatch.core.yaml_tree import Invalid, Node, find_control_character, resolve
from sorawatch.edges import yamlfile
from sorawatch.errors import Blocked, ConfigError, Deferred, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sorawatch.core.dialect import Dialect
    from sorawatch.core.order import Model

PREFIX = "SORAWATCH_"
NOT_OVERRIDES = frozenset({"SORAWATCH_CONFIG", "SORAWATCH_API_KEY"})
VIDEO_KEYS = ("model", "size", "seconds", "fit", "focus")
"""The keys of ``video`` that have a default."""
IN_YAML = frozenset({"models", "video.focus", "watch.ignore", "api.extra_fields", "api.headers", "api.query"})
"""The keys whose environment variables contain YAML, since they are lists or mappings; all others are plain values."""


def load(path: Path, environ: Mapping[str, str]) -> Config:
    """The configuration in the file ``path``, overridden by ``SORAWATCH_SECTION__KEY`` variables of ``environ``.

    Apart from the file, only the targets of links in the paths of its folders are read. The folders need not exist.

    Raises:
        ConfigError: with every problem found.
    """
    findings = Findings()
    try:
        data = yamlfile.read(Path(os.path.realpath(path)))
        tree = yamlfile.load(data, path.name, confidential=True)
    except Invalid as invalid:
        raise ConfigError(invalid.problems) from invalid
    except (Deferred, Blocked) as error:
        raise ConfigError((Problem(str(path), str(error), "Check its path and permissions."),)) from error
    variables = {name: value for name, value in environ.items() if name.startswith(PREFIX)}
    findings.overrides = _overrides(variables, findings)
    config = _read(tree, path.absolute(), findings)
    _check_variables(variables, findings)
    if findings.problems:
        raise ConfigError(findings.problems)
    return replace(config, digest=hashlib.sha256(data).hexdigest())


def variable(path: str) -> str:
    """The environment variable for a dotted path: ``SORAWATCH_API__BASE_URL`` for ``api.base_url``."""
    return PREFIX + path.upper().replace(".", "__")


def _overrides(variables: Mapping[str, str], findings: Findings) -> Mapping[str, Node]:
    nodes = {}
    for name, value in variables.items():
        path = name.removeprefix(PREFIX).lower().replace("__", ".")
        try:
            if path in IN_YAML:
                nodes[path] = yamlfile.load_value(value, name)
            elif find_control_character(value):
                raise Invalid(Problem(name, "contains bytes that are not UTF-8, or control characters", "Remove them."))
            else:
                nodes[path] = Node(resolve(value), value, name)
        except Invalid as invalid:
            for problem in invalid.problems:
                findings.add(0, problem)
    return MappingProxyType(nodes)


def _check_variables(variables: Mapping[str, str], findings: Findings) -> None:
    known = [variable(path).removeprefix(PREFIX) for path in findings.known_keys]
    for name in variables:
        word = name.removeprefix(PREFIX)
        if name in NOT_OVERRIDES or word in known:
            continue
        near = nearest(word, known)
        example = variable("api.base_url")
        hint = f"Did you mean {PREFIX}{near}?" if near else f"Unset it; variables are named like {example}."
        findings.add(0, Problem(name, "is an environment variable for an unknown key", hint))


def _read(tree: Node, path: Path, findings: Findings) -> Config:
    root = Section(tree, findings)
    folders = _folders(root.section("folders"), path.parent)
    state = _state(root, folders, path.parent)
    work = _work(root, folders, path.parent, state)
    timezone = root.get("timezone", nullable(rules.timezone), None)
    api, resubmit = _api(root.section("api"), path.parent)
    catalogue, models = _catalogue(root, api.dialect)
    video_section = root.section("video")
    unset = frozenset(key for key in VIDEO_KEYS if video_section.node(key) is None)
    video = _video(video_section, path.name, catalogue, [*models], api.dialect, findings)
    reference = _reference(root.section("reference"))
    decoders = _decoders(root.section("decoders"))
    watch, damaged_grace_seconds = _watch(root.section("watch"))
    policy = _policy(root.section("polling"), root.section("retries"), api)
    limits = read_limits(root.section("limits"), replace(LIMITS, in_flight=api.dialect.in_flight or LIMITS.in_flight))
    billing = _billing(root.section("billing"))
    config = Config(
        path=path,
        folders=folders,
        state=state,
        work=work,
        api=api,
        defaults=video,
        catalogue=catalogue,
        reference=reference,
        decoders=decoders,
        watch=watch,
        policy=replace(policy, resubmit_lost=resubmit, damaged_grace_seconds=damaged_grace_seconds, billing=billing),
        limits=limits,
        logging=_logging(root.section("logging"), path.parent),
        duplicates=root.get("duplicates", choice(Duplicates), Duplicates.REFUSE),
        keep_days=root.get("keep_days", integer(1, 36_500), KEEP_DAYS),
        timezone=timezone,
        unset_video_keys=unset,
    )
    check_prices(catalogue, {*models, video.model or ""}, config.limits, models)
    findings.found += models.findings.found
    root.close()
    return config


def _catalogue(root: Section, server: Dialect) -> tuple[Mapping[str, Model], Section]:
    node = root.get("models", lambda node: node, Node(None, source=root.source))
    # Separate findings, because the environment can only set all models together, not single keys of them.
    section = Section(node, Findings(), "models")
    return read_models(section, server), section


def _folders(section: Section, base: Path) -> Folders:
    default = Folders()
    check = rules.path(base)
    folders = Folders(
        inbox=section.get("inbox", check, base / default.inbox),
        outbox=section.get("outbox", check, base / default.outbox),
        errors=section.get("errors", check, base / default.errors),
        processed=section.get("processed", check, base / default.processed),
        file_mode=section.get("file_mode", nullable(rules.mode(0o600)), default.file_mode),
        dir_mode=section.get("dir_mode", nullable(rules.mode(0o700)), default.dir_mode),
        group=section.get("group", nullable(rules.group), default.group),
    )
    section.close()
    for (one, first), (other, second) in combinations(folders.roots.items(), 2):
        if relation := rules.relation(second, first):
            what = f"{rules.located(second)} {relation} folders.{one}, {rules.located(first)}"
            section.report(other, what, "Give each folder a place outside the others.")
    return folders


def _state(root: Section, folders: Folders, base: Path) -> str:
    state = root.get("state", rules.state(base), STATE)
    parent = Path(state).parent
    for name, folder in folders.roots.items() if "://" not in state else ():
        # References are written beside the state. Inside the inbox they would be found as new pictures and bought.
        if rules.relation(parent, folder) in {"is inside", "is the same folder as"}:
            root.report("state", f"{state} is inside folders.{name}", "Put it outside the four folders.")
    return state


def _work(root: Section, folders: Folders, base: Path, state: str) -> Path | None:
    work = root.get("work", nullable(rules.path(base)), None)
    if work is not None and "://" not in state:
        root.report("work", "is only for a state in a database", f"Leave it out: it is {state}.work here.")
    folder = work or base / WORK
    for name, other in folders.roots.items() if "://" in state else ():
        # Files that belong to no job are removed from the work folder.
        if relation := rules.relation(folder, other):
            root.report("work", f"{folder} {relation} folders.{name}, {other}", "Put it outside the four folders.")
    return work


def _api(section: Section, base: Path) -> tuple[Api, bool]:
    """The server, and whether an order whose answer was lost is submitted again where nothing can be found out."""
    server = section.get("dialect", dialect_file.named(base), dialect_file.shipped(dialect_file.DEFAULT))
    graph = section.get("graph", nullable(rules.path(base)), None)
    if dialect_file.needs_graph(server):
        server = _with_graph(section, server, graph)
    elif graph is not None:
        section.report("graph", f"is not used by {server.name}", "Leave it out.")
    default = Api(server, server.base_url, image_field=server.image_field, auth=server.auth)
    api = Api(
        dialect=server,
        graph=graph,
        base_url=section.get("base_url", rules.base_url, default.base_url),
        key_file=section.get("key_file", nullable(rules.key_file(base)), default.key_file),
        timeout_seconds=section.get("timeout_seconds", positive(MAX_DURATION), default.timeout_seconds),
        max_clip_mb=section.get("max_clip_mb", integer(1, 1 << 20), default.max_clip_mb),
        allow_http=section.get("allow_http", boolean, default.allow_http),
        image_field=section.get("image_field", dialect.field_name, default.image_field),
        extra_fields=section.get("extra_fields", dialect.extra_fields, default.extra_fields),
        send_size=section.get("send_size", boolean, default.send_size),
        headers=section.get("headers", dialect.headers, default.headers),
        query=section.get("query", dialect.query, default.query),
        auth=section.get("auth", dialect.auth, default.auth),
    )
    unresolved = section.get("unresolved_submit", choice(UnresolvedSubmit), UnresolvedSubmit.HOLD)
    section.close()
    dialect.check_fields(section, api)
    secret = api.auth != NO_KEY or any(value.startswith("$") for _, value in api.headers)
    if rules.is_exposed(api.base_url) and not api.allow_http and secret:
        what = f'is "{api.base_url}", so the key would be sent unencrypted'
        section.report("base_url", what, 'Write https://, or add "allow_http: true" in a network you trust.')
    return api, unresolved is UnresolvedSubmit.RESUBMIT


def _with_graph(section: Section, server: Dialect, graph: Path | None) -> Dialect:
    if graph is None:
        hint = "Export your workflow for the API, write the placeholders into it, and name that file here."
        section.report("graph", f"is missing, and {server.name} makes clips by a workflow of your own", hint)
        return server
    try:
        return dialect_file.read_graph(server, graph)
    except CheckError as error:
        section.report("graph", error.what, error.hint)
        return server


def _video(
    section: Section,
    name: str,
    catalogue: Mapping[str, Model],
    described: Sequence[str],
    server: Dialect,
    findings: Findings,
) -> OrderSettings:
    """The section ``video``. ``described`` are the models of the section ``models``."""
    given = read_video_keys(section, nullable(prompt))
    section.close()
    model = next(iter([*server.catalogue, *described]), None)
    if section.node("model") is None and model is None:
        hint = 'Describe its models under "models:"; the first is then the default.'
        section.report("model", f"is missing, and {server.name} has no models that every server of its kind has", hint)
    chosen = catalogue.get(given.model or model or "")
    knows = chosen is not None and (section.node("model") is None or chosen.name in server.catalogue)
    whole = replace(VIDEO, model=model, **default_terms(chosen, server.needs) if chosen and knows else {})
    defaults = {key: getattr(whole, key) for key in VIDEO_KEYS if section.node(key) is None}
    keys = ["prompt", *VIDEO_KEYS] if given.prompt else VIDEO_KEYS
    places = MappingProxyType({key: section.where(key) for key in keys})
    video = replace(given, **defaults, name=name, places=places)
    for problem in catalogue_problems([video], catalogue):
        findings.add(section.line, problem)
    return video


def _reference(section: Section) -> ReferenceOptions:
    default = ReferenceOptions()
    options = ReferenceOptions(
        format=section.get("format", choice(Format), default.format),
        quality=section.get("quality", integer(1, 100), default.quality),
        background=section.get("background", rules.colour, default.background),
        max_enlargement=section.get("max_enlargement", positive(1000), default.max_enlargement),
    )
    section.close()
    return options


def _decoders(section: Section) -> DecoderOptions:
    least = LEAST_MEMORY >> 20
    options = DecoderOptions(
        processes=section.get("processes", nullable(integer(1, 64)), None),
        memory_mb=section.get("memory_mb", nullable(integer(least, 1 << 20)), None),
    )
    section.close()
    return options


def _watch(section: Section) -> tuple[WatchOptions, float]:
    """How the inbox is watched, and for how many seconds a picture on a share may look damaged."""
    default = WatchOptions()
    watch = WatchOptions(
        mode=section.get("mode", choice(WatchMode), default.mode),
        settle_seconds=section.get("settle_seconds", positive(MAX_DURATION), default.settle_seconds),
        sidecar_grace_seconds=section.get(
            "sidecar_grace_seconds", not_negative(MAX_DURATION), default.sidecar_grace_seconds
        ),
        rescan_seconds=section.get("rescan_seconds", positive(MAX_DURATION), default.rescan_seconds),
        ignore=section.get("ignore", rules.globs, default.ignore),
    )
    grace = section.get("damaged_grace_seconds", positive(MAX_DURATION), Policy(Waits()).damaged_grace_seconds)
    section.close()
    return watch, grace


def _policy(polling: Section, retries: Section, api: Api) -> Policy:
    default, policy = Waits(), Policy(Waits())
    slowest = max(default.poll_min, api.dialect.poll_seconds or 0)
    stall_minutes = polling.get("stall_minutes", positive(MAX_DURATION // 60), default.stall / 60)
    abandon_hours = polling.get("abandon_hours", positive(MAX_DURATION // 3600), default.abandon / 3600)
    waits = Waits(
        first=retries.get("first_seconds", positive(MAX_DURATION), default.first),
        longest=retries.get("max_seconds", positive(MAX_DURATION), default.longest),
        poll_min=polling.get("min_seconds", positive(MAX_DURATION), slowest),
        poll_max=polling.get("max_seconds", positive(MAX_DURATION), default.poll_max),
        stall=60 * stall_minutes,
        abandon=3600 * abandon_hours,
    )
    attempts = retries.get("attempts", integer(1, 1000), policy.attempts)
    failed_generations = retries.get("failed_generations", integer(0, 1000), policy.failed_generations)
    polling.close()
    retries.close()
    _check_bounds(polling, "min_seconds", waits.poll_min, "max_seconds", waits.poll_max)
    _check_bounds(polling, "stall_minutes", stall_minutes / 60, "abandon_hours", abandon_hours)
    _check_bounds(retries, "first_seconds", waits.first, "max_seconds", waits.longest)
    return Policy(
        waits,
        attempts=attempts,
        failed_generations=failed_generations,
        late_seconds=LATE_TIMEOUTS * api.timeout_seconds,
        witness_seconds=WITNESS_TIMEOUTS * api.timeout_seconds,
    )


def _check_bounds(section: Section, low: str, least: float, high: str, most: float) -> None:
    if least > most:
        if section.node(high):
            section.report(high, f"is {most:g}, less than {low}, which is {least:g}", f"Allowed: at least {least:g}.")
        else:
            section.report(low, f"is {least:g}, more than {high}, which is {most:g}", f"Allowed: at most {most:g}.")


def _billing(section: Section) -> Billing:
    default = Billing()
    billing = Billing(
        failed=section.get("failed", boolean, default.failed),
        moderated=section.get("moderated", boolean, default.moderated),
    )
    section.close()
    return billing


def _logging(section: Section, base: Path) -> Logging:
    default = Logging()
    logging = Logging(
        format=section.get("format", choice(LogFormat), default.format),
        level=section.get("level", choice(LogLevel), default.level),
        file=section.get("file", nullable(rules.path(base)), default.file),
        prompts=section.get("prompts", boolean, default.prompts),
    )
    section.close()
    return logging
