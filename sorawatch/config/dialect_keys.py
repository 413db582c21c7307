"""The keys of a dialect file, each with its check, its JSON Schema and its meaning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from sorawatch.core.answer_tests import AnswerTest
from sorawatch.core.dialect import Needs
from sorawatch.core.pointers import steps
from sorawatch.core.value_checks import Check, CheckError, boolean, choice, describe, integer, positive, text
from sorawatch.core.yaml_tree import Node, plain

Schema: TypeAlias = Mapping[str, Any]

_TEXT: Schema = {"type": "string"}
_TEXTS: Schema = {"type": "object", "additionalProperties": {"type": ["string", "number"]}}
_POINTER: Schema = {"type": "string", "pattern": "^(/.*)?$"}
_POINTERS: Schema = {"oneOf": [_POINTER, {"type": "array", "items": _POINTER, "minItems": 1}]}
_WORD: Schema = {"type": ["string", "number", "boolean"]}
_TESTS: Schema = {
    "type": "object",
    "propertyNames": _POINTER,
    "additionalProperties": {"oneOf": [_WORD, {"type": "array", "items": _WORD, "minItems": 1}]},
}
_BODY: Schema = {"type": "object"}
_ADDRESSES: Schema = {"oneOf": [_TEXT, {"type": "array", "items": _TEXT}]}
_SIGNS: Schema = {"type": "array", "items": {"type": ["string", "integer"]}}


@dataclass(frozen=True, slots=True)
class Key:
    """One key: its check, its JSON Schema, and its meaning."""

    check: Check[Any]
    schema: Schema
    meaning: str
    required: bool = False


def _address(node: Node) -> str:
    """A path below the base address, an address of another server, or one placeholder."""
    written = text(node).strip()
    if not written.startswith(("/", "http://", "https://", "<")) or any(map(str.isspace, written)):
        raise CheckError(f"is {describe(node)}", "Allowed: a path such as /videos/<id>, or an address with https://.")
    return written


def _addresses(node: Node) -> tuple[str, ...]:
    return _several(node, _address)


def pointer(node: Node) -> str:
    """A JSON pointer; the empty text is the whole answer."""
    written = node.text.strip() if isinstance(node.value, str) else describe(node)
    try:
        steps(written)
    except ValueError as error:
        raise CheckError(f"is {describe(node)}", "Allowed: a JSON pointer such as /data/0/url.") from error
    return written


def pointers(node: Node) -> tuple[str, ...]:
    """A JSON pointer, or a list of which the first that finds something counts."""
    return _several(node, pointer)


def _several(node: Node, check: Callable[[Node], str]) -> tuple[str, ...]:
    if isinstance(node.value, tuple) and node.value:
        return tuple(check(each) for each in node.value)
    return (check(node),)


def tests(node: Node) -> tuple[AnswerTest, ...]:
    """Pointers with the words that count there."""
    if not isinstance(node.value, Mapping) or not node.value:
        raise CheckError(f"is {describe(node)}", "Allowed: pointers with words, such as {/status: [done, finished]}.")
    return tuple(
        AnswerTest(pointer(Node(name, name)), tuple(_scalar(each) for each in _listed(words)))
        for name, words in node.value.items()
    )


def _listed(node: Node) -> tuple[Node, ...]:
    return node.value if isinstance(node.value, tuple) else (node,)


def _scalar(node: Node) -> str:
    if isinstance(node.value, Mapping | tuple) or node.value is None:
        raise CheckError(f"has {describe(node)}, but a word is needed", "Write words, numbers, true, false or present.")
    return node.text


def texts(node: Node) -> tuple[tuple[str, str], ...]:
    """Names with their values, as text."""
    if not isinstance(node.value, Mapping):
        raise CheckError(f"is {describe(node)}", "Allowed: names with their values, such as {limit: 100}.")
    return tuple((name, text(value)) for name, value in node.value.items())


def body(node: Node) -> Mapping[str, object]:
    """The template of a body, with placeholders such as <prompt>."""
    found = plain(node)
    if not isinstance(found, dict):
        raise CheckError(f"is {describe(node)}", "Allowed: names with values, such as {prompt: <prompt>}.")
    return found


def signs(node: Node) -> tuple[str | int, ...]:
    """Words, codes (numbers) and statuses (``http 402``)."""
    if not isinstance(node.value, tuple):
        raise CheckError(f"is {describe(node)}", "Allowed: a list such as [exhausted balance, 1101, http 402].")
    return tuple(each.value if isinstance(each.value, int) else _scalar(each) for each in node.value)


def match(node: Node) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What a list shows of an order, and where."""
    allowed = ("tag", "prompt", "model", "size", "seconds", "created")
    if not isinstance(node.value, Mapping):
        raise CheckError(f"is {describe(node)}", "Allowed: names with pointers, such as {prompt: /input/prompt}.")
    for name in node.value:
        if name not in allowed:
            raise CheckError(f'has "{name}"', f"Allowed: {', '.join(allowed)}.")
    return tuple((name, pointers(value)) for name, value in node.value.items())


def notes(node: Node) -> tuple[str, ...]:
    """Sentences for people."""
    return tuple(text(each) for each in _listed(node))


def key_header(node: Node) -> tuple[str, str] | None:
    """``none``, or a header with a prefix, as its name and prefix."""
    if node.text == "none":
        return None
    if not isinstance(node.value, Mapping) or set(node.value) - {"header", "prefix"}:
        raise CheckError(f"is {describe(node)}", 'Allowed: none, or {header: Authorization, prefix: "Key "}.')
    found = {name: value.text for name, value in node.value.items()}
    return found.get("header", "Authorization"), found.get("prefix", "")


Keys: TypeAlias = Mapping[str, "Key | Keys"]

_URL = Key(_address, _TEXT, "the path below server.url, or a whole address", required=True)
_QUERY = Key(texts, _TEXTS, "the query of the address")
_JSON = Key(body, _BODY, "the body as JSON, with placeholders")
_FORM = Key(body, _BODY, "the body as a form (multipart/form-data), with placeholders")

LOOK_UP: Keys = {
    "url": _URL,
    "query": _QUERY,
    "items": Key(pointers, _POINTERS, "where the list lies; without it the answer is about one job"),
    "id": Key(pointers, _POINTERS, "where the id of a job lies"),
    "match": Key(match, _TEXTS, "where an entry shows the tag, prompt, model, size, seconds and time of an order"),
    "confirm": Key(pointers, _POINTERS, "where the poll of a job shows its prompt, if the list does not"),
    "pages": {
        "number": Key(text, _TEXT, "the name in the query for the number of the page"),
        "cursor": Key(text, _TEXT, "the name in the query for the id of the last entry of the page before"),
        "next": Key(pointer, _POINTER, "where the answer has the address of the next page"),
    },
}

MODEL: Keys = {
    "json": Key(body, _BODY, "a merge patch of the body, which is then sent as JSON"),
    "multipart": Key(body, _BODY, "a merge patch of the body, which is then sent as a form"),
    "values": Key(body, _BODY, "placeholders of this model's own"),
}

KEYS: Keys = {
    "name": Key(text, _TEXT, "what it is called", required=True),
    "about": Key(text, _TEXT, "what it is, in one line", required=True),
    "source": Key(text, _TEXT, "where the facts are from, with dates"),
    "needs": Key(choice(Needs), {"enum": [*Needs]}, "what a person needs to use it"),
    "tried": Key(text, _TEXT, "what it was tried with; without it, it is from documentation only"),
    "notes": Key(notes, {"type": "array", "items": _TEXT}, "what must be set at the server, or known of it"),
    "extends": Key(text, _TEXT, "a shipped dialect of which this file is a merge patch"),
    "server": {
        "url": Key(text, _TEXT, "the base address, which api.base_url replaces", required=True),
        "key": Key(key_header, {}, "none, or the header and prefix of the API key"),
        "headers": Key(texts, _TEXTS, "sent with every request to the server"),
        "query": Key(texts, _TEXTS, "added to every request to the server"),
    },
    "upload": {
        "url": _URL,
        "json": _JSON,
        "multipart": _FORM,
        "id": Key(pointers, _POINTERS, "what <upload> becomes", required=True),
    },
    "create": {
        "url": _URL,
        "json": _JSON,
        "multipart": _FORM,
        "id": Key(pointers, _POINTERS, "where the id of the job lies"),
        "fields": Key(pointer, _POINTER, "where in the body the fields of a sidecar are merged"),
    },
    "poll": {
        "url": Key(_addresses, _ADDRESSES, "its address; of a list, the first that can be filled", required=True),
        "query": _QUERY,
        "done": Key(tests, _TESTS, "the clip is ready"),
        "failed": Key(tests, _TESTS, "there will be no clip"),
        "refused": Key(tests, _TESTS, "moderation refused it, in an answer that looks like success"),
        "gone": Key(tests, _TESTS, "the server does not know the job, with HTTP 200"),
        "silent": Key(tests, _TESTS, "the answer says nothing: the look-ups of resolve decide"),
        "percent": Key(pointers, _POINTERS, "the progress from 0 to 100"),
        "fraction": Key(pointers, _POINTERS, "the progress from 0 to 1"),
        "code": Key(pointers, _POINTERS, "the code of a failed job"),
        "text": Key(pointers, _POINTERS, "the reason of a failed job"),
    },
    "clip": {
        "url": _URL,
        "query": _QUERY,
        "result": Key(_address, _TEXT, "one more GET between the last poll and the clip"),
        "items": Key(pointers, _POINTERS, "objects in that answer, for <item/…>"),
        "where": Key(tests, _TESTS, "which of them counts"),
    },
    "errors": {
        "ok": Key(tests, _TESTS, "what every good answer passes, if errors come with HTTP 200"),
        "code": Key(pointers, _POINTERS, "where the code of an error lies"),
        "text": Key(pointers, _POINTERS, "where its text lies"),
        "exists": Key(signs, _SIGNS, "an order with this tag is there already"),
        "unknown": Key(signs, _SIGNS, "the answer proves nothing"),
        "key": Key(signs, _SIGNS, "the API key is refused"),
        "credit": Key(signs, _SIGNS, "the account has no money left"),
        "model": Key(signs, _SIGNS, "the model is not offered"),
        "moderation": Key(signs, _SIGNS, "the content is refused"),
        "busy": Key(signs, _SIGNS, "there is no capacity now"),
        "order": Key(signs, _SIGNS, "anything else about this order alone"),
    },
    "check": {
        "url": _URL,
        "proves_key": Key(boolean, {"type": "boolean"}, "whether it is refused to a wrong key"),
        "models": Key(pointers, _POINTERS, "where its answer has the names of the models"),
    },
    "limits": {
        "in_flight": Key(integer(1, 1000), {"type": "integer", "minimum": 1}, "jobs at a time"),
        "poll_seconds": Key(positive(3600), {"type": "number"}, "the shortest wait between two polls"),
        "max_bytes": Key(integer(1), {"type": "integer"}, "of the picture that is sent"),
    },
}  # fmt: skip


def schema() -> dict[str, Any]:
    """The JSON Schema of a dialect file, for editors."""
    document = _object(KEYS)
    properties = document["properties"]
    properties["resolve"] = {"type": "array", "items": _object(LOOK_UP)}
    price = {"type": ["number", "null", "object"]}
    model = _object(MODEL)
    model["properties"] |= {
        "sizes": {"oneOf": [{"const": "any"}, {"type": "array", "items": _TEXT}, _TEXTS]},
        "seconds": {"oneOf": [_TEXT, {"type": "array", "items": {"type": "integer"}}]},
        "fps": {"type": "integer"},
        "fields": _BODY,
        "usd_per_second": price,
        "usd_per_video": price,
    }
    properties["models"] = {"type": "object", "additionalProperties": model}
    # A file that extends another one may leave out what that has.
    document.pop("required", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A dialect of sorawatch", **document}


def _object(keys: Keys) -> dict[str, Any]:
    properties = {
        name: {**key.schema, "description": key.meaning} if isinstance(key, Key) else _object(key)
        for name, key in keys.items()
    }
    needed = [name for name, key in keys.items() if isinstance(key, Key) and key.required]
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        **({"required": needed} if needed else {}),
    }
