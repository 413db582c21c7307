"""The description of a server's HTTP contract, as data: what a dialect file says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from sorawatch.core.merge_patch import merged, merged_at
from sorawatch.core.placeholders import PICTURE, PLACEHOLDER, names_in

if TYPE_CHECKING:
    from sorawatch.core.answer_tests import AnswerTest
    from sorawatch.core.order import Model
    from sorawatch.core.signs import Signs

Texts = tuple[tuple[str, str], ...]
"""Names and values of headers or of a query."""
_PICTURES = frozenset(f"<{name}>" for name in PICTURE)
BEARER, NO_KEY = "bearer", "none"


class Needs(StrEnum):
    """What a person must have to use a server."""

    KEY = "key"
    GPU = "gpu"


class Encoding(StrEnum):
    """How the body of a request is written."""

    JSON = "json"
    MULTIPART = "multipart"


@dataclass(frozen=True, slots=True)
class KeyHeader:
    """The header that carries the API key, and what stands before the key in it."""

    name: str = "Authorization"
    prefix: str = "Bearer "


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a request, as a template."""

    encoding: Encoding
    template: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Upload:
    """A free request before the order that stores the picture. ``id`` points to what ``<upload>`` becomes."""

    url: str
    body: Body
    id: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Create:
    """The order. Without ``id`` the job is looked for where the servers of the reference contract have it."""

    url: str
    body: Body
    id: tuple[str, ...] = ()
    fields: str = ""
    """Where in the body the fields of a sidecar are merged."""


@dataclass(frozen=True, slots=True)
class Poll:
    """How the state of a job is asked for and read. Without tests, the usual words at the usual places count."""

    urls: tuple[str, ...]
    """The first whose placeholders all have values is used."""
    query: Texts = ()
    done: tuple[AnswerTest, ...] = ()
    failed: tuple[AnswerTest, ...] = ()
    refused: tuple[AnswerTest, ...] = ()
    gone: tuple[AnswerTest, ...] = ()
    silent: tuple[AnswerTest, ...] = ()
    """The answer says nothing about the job: the look-ups say whether the server still has it."""
    percent: tuple[str, ...] = ()
    fraction: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    """Where the reason of a failed job lies."""


@dataclass(frozen=True, slots=True)
class Clip:
    """Where the clip is. ``<answer/…>`` is taken from the answer of ``result``, or of a poll if there is none.

    ``items`` points to objects in that answer, of which the first that passes ``where`` gives ``<item/…>``.
    """

    url: str
    query: Texts = ()
    result: str = ""
    """The address of one more GET between the last poll and the clip."""
    items: tuple[str, ...] = ()
    where: tuple[AnswerTest, ...] = ()

    @property
    def needs_answer(self) -> bool:
        parts = (self.url, self.result, *(value for _, value in self.query))
        return any(name.startswith(("answer/", "item/")) for part in parts for name in PLACEHOLDER.findall(part))


@dataclass(frozen=True, slots=True)
class Errors:
    """How an error is recognised. Without pointers it is looked for at the usual places."""

    ok: tuple[AnswerTest, ...] = ()
    """What every good answer passes, for APIs that send errors with HTTP 200."""
    code: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    signs: Signs = ()


@dataclass(frozen=True, slots=True)
class Pages:
    """How a list goes on: by the number of a page, by the id of an entry, or by an address in the answer."""

    number: str = ""
    cursor: str = ""
    next: str = ""


@dataclass(frozen=True, slots=True)
class LookUp:
    """A free request that finds a job whose answer was lost: by its tag, or in a list."""

    url: str
    query: Texts = ()
    items: tuple[str, ...] = ()
    """Where the list lies; without it, the answer is about one job."""
    id: tuple[str, ...] = ()
    match: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Where an entry of a list shows what was ordered: ``tag``, ``prompt``, ``model``, ``size``, ``seconds``,
    ``created``."""
    confirm: tuple[str, ...] = ()
    """Where the poll of a job shows its prompt, if the list does not."""
    pages: Pages = Pages()

    @property
    def by_tag(self) -> bool:
        sent = (self.url, *(value for _, value in self.query))
        return "tag" in dict(self.match) or any("tag" in PLACEHOLDER.findall(part) for part in sent)


@dataclass(frozen=True, slots=True)
class FreeRequest:
    """A GET that costs nothing and shows that the key is accepted, and perhaps which models there are."""

    url: str
    proves_key: bool = True
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DialectModel:
    """A model of the dialect. ``name`` may be a pattern with ``*``, which describes models that others name."""

    name: str
    model: Model
    resolutions: Texts = ()
    """For each size the word that ``<resolution>`` becomes."""
    patch: Body | None = None
    """A merge patch of the body of the order, and how that is then encoded."""
    values: tuple[tuple[str, object], ...] = ()
    """The model's own placeholders."""

    @property
    def is_pattern(self) -> bool:
        return "*" in self.name


@dataclass(frozen=True, slots=True)
class Dialect:
    """The HTTP contract of one server."""

    name: str
    about: str
    base_url: str
    create: Create
    poll: Poll
    clip: Clip
    needs: Needs = Needs.KEY
    tried: str = ""
    """What it was tried with; empty if it is only from documentation."""
    source: str = ""
    key: KeyHeader | None = KeyHeader()
    headers: Texts = ()
    query: Texts = ()
    upload: Upload | None = None
    errors: Errors = Errors()
    resolve: tuple[LookUp, ...] = ()
    check: FreeRequest | None = None
    notes: tuple[str, ...] = ()
    """What a person must set at the server, or know of it."""
    in_flight: int | None = None
    """How many jobs it should have at once."""
    poll_seconds: float | None = None
    """The shortest wait between two polls."""
    max_bytes: int | None = None
    """Of the picture that is sent."""
    models: tuple[DialectModel, ...] = ()
    sends_size: bool = True
    sends_extra: bool = False
    """The configuration adds fields of its own, one of which may decide the length of a clip."""
    literal_origins: tuple[str, ...] = field(default=())
    """Other addresses that the dialect itself names, and that get the key too."""

    @property
    def auth(self) -> str:
        """``bearer``, ``none``, or the name of the header that carries the key."""
        if self.key is None:
            return NO_KEY
        return BEARER if self.key == KeyHeader() else self.key.name

    @property
    def image_field(self) -> str:
        """The name in the body of the order whose value is the picture; empty if it lies deeper."""
        names = (
            name for name, value in self.create.body.template.items() if isinstance(value, str) and value in _PICTURES
        )
        return next(names, "")

    @property
    def catalogue(self) -> Mapping[str, Model]:
        """The models that can be ordered, by their names."""
        return {each.name: each.model for each in self.models if not each.is_pattern}

    @property
    def list(self) -> LookUp | None:
        """The look-up in a list that does not know the tag, if there is one."""
        return next((each for each in self.resolve if not each.by_tag), None)

    @property
    def tag_look_ups(self) -> tuple[LookUp, ...]:
        return tuple(each for each in self.resolve if each.by_tag)

    def described(self, model: str) -> DialectModel | None:
        """What the dialect says of a model: its own entry, or the first pattern that fits its name."""
        exact = (each for each in self.models if each.name == model)
        return next(exact, None) or next(
            (each for each in self.models if each.is_pattern and fnmatchcase(model.casefold(), each.name.casefold())),
            None,
        )

    def body(self, model: str, *patches: Mapping[str, object]) -> Body:
        """The template of the order's body for a model, with ``patches`` applied one after the other."""
        body, found = self.create.body, self.described(model)
        if found is not None and found.patch is not None:
            body = Body(found.patch.encoding, _mapping(merged(body.template, found.patch.template)))
        template: object = body.template
        for patch in patches:
            template = merged_at(template, self.create.fields, patch)
        return Body(body.encoding, _mapping(template))

    def settable(self, model: str) -> frozenset[str]:
        """The placeholders that fields may fill, because an order does not set them."""
        described = self.described(model)
        return frozenset({"seed", *(dict(described.values) if described else ())})

    def conflicting(self, model: str, fields: Mapping[str, object]) -> str | None:
        """The first of ``fields`` that would replace what the order sets itself; None if there is none."""
        body = self.body(model).template
        target: object = body
        for step in self.create.fields.split("/")[1:]:
            target = target.get(step) if isinstance(target, Mapping) else None
        set_by_order = {*names_in(body)} - self.settable(model)
        named = (name for name in fields if name in set_by_order)
        return next(named, None) or next(_replaced(target, fields, self.settable(model)), None)


def customized(
    dialect: Dialect,
    *,
    image_field: str = "",
    extra_fields: Texts = (),
    send_size: bool = True,
    auth: str = "",
    query: Texts = (),
) -> Dialect:
    """The dialect with what the section ``api`` of a configuration says on top of it; empty values change nothing.

    ``auth`` is ``bearer``, ``none``, or the name of the header that contains only the key.
    """
    body = dialect.create.body
    own = dialect.image_field
    template = {image_field if name == own and image_field else name: value for name, value in body.template.items()}
    if extra_fields:
        template = {**_mapping(merged_at(template, dialect.create.fields, dict(extra_fields)))}
    key = {BEARER: KeyHeader(), NO_KEY: None}.get(auth, KeyHeader(auth, ""))
    return replace(
        dialect,
        create=replace(dialect.create, body=Body(body.encoding, template)),
        key=dialect.key if auth in {"", dialect.auth} else key,
        query=(*dialect.query, *query),
        sends_size=send_size and dialect.sends_size,
        sends_extra=bool(extra_fields) or dialect.sends_extra,
    )


def with_graph(dialect: Dialect, graph: Mapping[str, object]) -> Dialect:
    """The dialect with the user's own graph in place of ``<graph>``. Its texts are templates too."""
    body = dialect.create.body
    template = {name: graph if value == "<graph>" else value for name, value in body.template.items()}
    return replace(dialect, create=replace(dialect.create, body=Body(body.encoding, template)))


def _replaced(target: object, patch: Mapping[str, object], settable: frozenset[str]) -> Iterator[str]:
    """The names in ``patch`` that replace a value of ``target`` with a placeholder."""
    for name, value in patch.items():
        known = target.get(name) if isinstance(target, Mapping) else None
        if isinstance(value, Mapping) and isinstance(known, Mapping):
            yield from (f"{name}.{below}" for below in _replaced(known, value, settable))
        elif {*names_in(known)} - settable:
            yield name


def _mapping(value: object) -> Mapping[str, object]:
    assert isinstance(value, Mapping)
    return value
