"""Reads dialect files: those of the package by name, and a person's own by path. Every problem is reported at once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from sorawatch.config import rules
from sorawatch.config.catalogue import any_or, read_model
from sorawatch.config.dialect_keys import KEYS, LOOK_UP, MODEL, Key, Keys
from sorawatch.core.dialect import (
    Body,
    Clip,
    Create,
    Dialect,
    DialectModel,
    Encoding,
    Errors,
    FreeRequest,
    KeyHeader,
    LookUp,
    Pages,
    Poll,
    Texts,
    Upload,
    with_graph,
)
from sorawatch.core.order import Model, Size
from sorawatch.core.placeholders import FILE, NAMES, PLACEHOLDER, names_in
from sorawatch.core.sidecar import size
from sorawatch.core.signs import Sign
from sorawatch.core.value_checks import (
    Check,
    CheckError,
    Findings,
    Section,
    describe,
    did_you_mean,
    nearest,
    suggest,
    text,
)
from sorawatch.core.yaml_tree import Invalid, Node
from sorawatch.edges import yamlfile
from sorawatch.errors import Blocked, ConfigError, Deferred, Problem

DEFAULT = "openai"
_NONE: tuple[Node, ...] = ()
_SUFFIXES = (".yaml", ".yml")
_ALWAYS = frozenset({"answer", "item"})
_MAX_GRAPH = 4 << 20
"""Bytes of a graph."""


def names() -> tuple[str, ...]:
    """The names of the shipped dialects, the reference contract first."""
    found = sorted(each.name.removesuffix(".yaml") for each in _folder().iterdir() if each.name.endswith(".yaml"))
    return (DEFAULT, *(each for each in found if each != DEFAULT))


def source(name: str) -> str:
    """The text of a shipped dialect.

    Raises:
        ConfigError: if there is none of that name.
    """
    if name not in names():
        raise ConfigError((Problem(name, "is no dialect that sorawatch has", suggest(name, names())),))
    written: str = (_folder() / f"{name}.yaml").read_text(encoding="utf-8")
    return written


def is_path(written: str) -> bool:
    """Whether a person names a file of their own, and not a shipped dialect."""
    return "/" in written or written.endswith(_SUFFIXES)


@lru_cache(maxsize=32)
def shipped(name: str) -> Dialect:
    """A shipped dialect by its name. Raises: ConfigError: if there is none."""
    return _parsed(source(name).encode(), f"{name}.yaml")


def from_file(path: Path) -> Dialect:
    """A person's own dialect.

    Raises:
        ConfigError: with every problem found.
    """
    try:
        return _parsed(yamlfile.read(path), path.name)
    except Invalid as invalid:
        raise ConfigError(invalid.problems) from invalid
    except (Deferred, Blocked) as error:
        raise ConfigError((Problem(str(path), str(error), "Check its path and permissions."),)) from error


def named(base: Path) -> Check[Dialect]:
    """A shipped dialect by name, or a file of one's own by its path relative to ``base``."""

    def check(node: Node) -> Dialect:
        written = text(node).strip()
        if not is_path(written) and written not in names():
            own = "or the path of a file of your own, such as ./my-server.yaml"
            raise CheckError(
                f"is {describe(node)}", f"{did_you_mean(written, names())}Allowed: {', '.join(names())}, {own}."
            )
        try:
            return from_file(rules.path(base)(node)) if is_path(written) else shipped(written)
        except ConfigError as error:
            raise CheckError(f"is {describe(node)}, which cannot be used: {error}", "Correct that file.") from error

    return check


def _folder() -> Any:
    return files("sorawatch") / "dialects"


def _parsed(data: bytes, name: str) -> Dialect:
    tree = _extended(yamlfile.load(data, name))
    findings = Findings()
    dialect = _read(Section(tree, findings))
    if findings.problems or dialect is None:
        raise ConfigError(findings.problems)
    return dialect


def _extended(tree: Node) -> Node:
    """The tree merged into that of the dialect that it extends."""
    base = tree.value.get("extends") if isinstance(tree.value, Mapping) else None
    if base is None:
        return tree
    name = base.text
    if name not in names():
        raise ConfigError((Problem(f"{base.place}, extends", f"is {describe(base)}", suggest(name, names())),))
    return _merged(_extended(yamlfile.load(source(name).encode(), f"{name}.yaml")), tree)


def _merged(base: Node | None, patch: Node) -> Node:
    """A merge patch of trees. Values keep the file and the line that they come from."""
    if not isinstance(patch.value, Mapping):
        return patch
    known = dict(base.value) if base is not None and isinstance(base.value, Mapping) else {}
    for name, value in patch.value.items():
        if value.value is None:
            known.pop(name, None)
        else:
            known[name] = _merged(known.get(name), value)
    return Node(MappingProxyType(known), patch.text, patch.source, patch.line)


def _read(section: Section) -> Dialect | None:
    found = _values(section, KEYS)
    models = tuple(_model(each) for each in _sections(section.section("models")))
    resolve = tuple(_look_ups(section))
    section.close()
    for name in ("server", "create", "poll", "clip"):
        if not found[name]:
            section.report(name, "is missing", "Describe it; `sorawatch servers show openai` prints an example.")
    if section.findings.found:
        return None
    server, limits = found["server"], found["limits"]
    address = rules.base_url(Node(server["url"], server["url"]))
    key = KeyHeader(*server["key"]) if server.get("key") else None
    create, upload, check = found["create"], found["upload"], found["check"]
    dialect = Dialect(
        name=found["name"],
        about=found["about"],
        base_url=address,
        create=Create(**{**_without_body(create), "body": _body(create)}),
        poll=Poll(**{"urls" if name == "url" else name: value for name, value in found["poll"].items()}),
        clip=Clip(**found["clip"]),
        **{name: found[name] for name in ("needs", "tried", "source", "notes") if name in found},
        key=key if "key" in server else KeyHeader(),
        headers=server.get("headers", ()),
        query=server.get("query", ()),
        upload=Upload(**{**_without_body(upload), "body": _body(upload)}) if upload else None,
        errors=_errors(found["errors"]),
        resolve=resolve,
        check=FreeRequest(**check) if check else None,
        **limits,
        models=models,
        literal_origins=tuple(_origins(found, resolve, address)),
    )
    _check_placeholders(section, dialect)
    return dialect


def _values(section: Section, keys: Keys) -> dict[str, Any]:
    """The checked values of a mapping and of the mappings below it; absent keys are left out."""
    found: dict[str, Any] = {}
    present = any(section.node(name) is not None for name in keys)
    for name, key in keys.items():
        if not isinstance(key, Key):
            below = section.section(name)
            found[name] = _values(below, key)
            below.close()
        elif section.node(name) is not None:
            found[name] = section.get(name, key.check, None)
        else:
            section.get(name, key.check, None)
            if key.required and present:
                section.report(name, "is missing", f"Write it: {key.meaning}.")
    return found


def _sections(section: Section) -> Iterator[tuple[str, Section]]:
    for name in section:
        yield name, section.section(name)


def _look_ups(section: Section) -> Iterator[LookUp]:
    for number, each in enumerate(section.get("resolve", _list, _NONE)):
        below = Section(each, section.findings, f"resolve.{number + 1}")
        found = _values(below, LOOK_UP)
        below.close()
        if "url" in found:
            pages = found.pop("pages")
            yield LookUp(**found, pages=Pages(**pages))


def _list(node: Node) -> tuple[Node, ...]:
    if not isinstance(node.value, tuple):
        raise CheckError(f"is {describe(node)}", "Allowed: a list of look-ups, each with a url.")
    return node.value


def _model(named: tuple[str, Section]) -> DialectModel:
    name, section = named
    node = section.node("sizes")
    words: Texts = ()
    if node is not None and isinstance(node.value, Mapping):
        words = tuple((str(size(Node(key, key))), text(value)) for key, value in node.value.items())
    model = read_model(section, Model(name, None, None), _sizes)
    found = _values(section, MODEL)
    section.close()
    encoding = next((each for each in Encoding if each.value in found), None)
    patch = None if encoding is None else Body(encoding, found[encoding.value])
    return DialectModel(name, model, words, patch, tuple(found.get("values", {}).items()))


def _sizes(node: Node) -> tuple[Size, ...] | None:
    """``any``, a list, or sizes with the word that the server has for each."""
    if isinstance(node.value, Mapping):
        return tuple(size(Node(key, key)) for key in node.value)
    return any_or(size)(node)


def _without_body(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name not in {*Encoding}}


def _body(found: Mapping[str, Any]) -> Body:
    encoding = next((each for each in Encoding if each.value in found), Encoding.JSON)
    return Body(encoding, found.get(encoding.value, {}))


def _errors(found: Mapping[str, Any]) -> Errors:
    signs = tuple((sign, found[sign.value]) for sign in Sign if sign.value in found)
    return Errors(**{name: found[name] for name in ("ok", "code", "text") if name in found}, signs=signs)


def _origins(found: Mapping[str, Any], resolve: tuple[LookUp, ...], address: str) -> Iterator[str]:
    """The addresses of other servers that the dialect names."""
    urls = [found[name].get("url") for name in ("upload", "create", "clip", "check")]
    urls += [*found["poll"].get("url", ()), found["clip"].get("result"), *(each.url for each in resolve)]
    for url in urls:
        if url and url.startswith(("http://", "https://")):
            parts = urlsplit(url)
            if not PLACEHOLDER.search(parts.netloc) and not url.startswith(f"{address}/"):
                yield f"{parts.scheme}://{parts.netloc}"


def _check_placeholders(section: Section, dialect: Dialect) -> None:
    """Report placeholders that are not known or not possible where they are, and steps that contradict each other."""
    own = {name for each in dialect.models for name, _ in each.values}
    allowed = {*NAMES, *own, "limit"}
    places: dict[str, list[object]] = {
        "create": [dialect.create.body.template, dialect.create.url],
        "upload": [dialect.upload.body.template, dialect.upload.url] if dialect.upload else [],
        "poll": [dialect.poll.urls, [value for _, value in dialect.poll.query]],
        "clip": [dialect.clip.url, dialect.clip.result, [value for _, value in dialect.clip.query]],
        "models": [each.patch.template for each in dialect.models if each.patch],
        "resolve": [[each.url, *(value for _, value in each.query)] for each in dialect.resolve],
    }
    for where, templates in places.items():
        for name in (name for template in templates for name in names_in(template)):
            bare = name.removesuffix(".raw")
            if bare.partition("/")[0] in _ALWAYS or bare in allowed:
                continue
            hint = f"{did_you_mean(bare, allowed)}Allowed: {', '.join(sorted(allowed))}."
            section.report(where, f"has <{name}>, which is no placeholder", hint)
    _check_bodies(section, dialect)
    if all("<answer/" in each for each in dialect.poll.urls):
        hint = "Add an address with <id> after it, for jobs that are found again after a restart."
        section.report("poll", "has only addresses of the answer to the order", hint)


def _check_bodies(section: Section, dialect: Dialect) -> None:
    named = {"create": dialect.create.body, **({"upload": dialect.upload.body} if dialect.upload else {})}
    for where, body in named.items():
        if not body.template:
            section.report(where, "has no body", "Write it under json: or multipart:.")
        if body.encoding is Encoding.JSON and FILE in names_in(body.template):
            hint = "Use <image.base64> or <image.data_uri>, or send a form with multipart:."
            section.report(where, f"has <{FILE}> in JSON", hint)
    uses_upload = "upload" in names_in(dialect.create.body.template)
    if uses_upload and dialect.upload is None:
        section.report("create", "has <upload>, but there is no upload step", "Describe the step under upload:.")


def read_graph(dialect: Dialect, path: Path) -> Dialect:
    """The dialect with the graph of a JSON file, whose texts may have placeholders.

    Raises:
        CheckError: if the file cannot be used.
    """
    try:
        data = path.read_bytes()
        document = json.loads(data) if len(data) <= _MAX_GRAPH else None
    except OSError as error:
        raise CheckError(f"{path}: {error.strerror}", "Check its path and permissions.") from error
    except ValueError as error:
        raise CheckError(f"{path.name} is not JSON ({error})", "Export the workflow again.") from error
    export = "In ComfyUI: Workflow, Export (API); then name the exported file here."
    if isinstance(document, dict) and isinstance(document.get("nodes"), list):
        raise CheckError(f"{path.name} is a workflow for the editor and not for the API", export)
    if not isinstance(document, dict) or not document:
        raise CheckError(f"{path.name} is no graph", export)
    slots = {*NAMES, *(name for each in dialect.models for name, _ in each.values)}
    found = {*names_in(document)}
    for name in sorted(found - slots):
        if nearest(name, slots):
            raise CheckError(f"{path.name} has <{name}>, which is no slot", did_you_mean(name, slots).strip())
    if not {"upload", "image.base64", "image.data_uri"} & found:
        hint = 'Write <upload> as the value of "image" in its LoadImage node.'
        raise CheckError(f"{path.name} has no slot for the picture", hint)
    if "prompt" not in found:
        hint = 'Write <prompt> as the value of "text" in the node of the prompt.'
        raise CheckError(f"{path.name} has no slot for the prompt", hint)
    return with_graph(dialect, document)


def needs_graph(dialect: Dialect) -> bool:
    """Whether the order contains a graph of the person's own."""
    return "graph" in names_in(dialect.create.body.template)
