"""One HTTP response, and the error that its body states, in any of the JSON shapes that servers use."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sorawatch.core.signs import Sign

LONGEST_QUOTE = 300
"""Characters: the longest text of a server that our messages repeat."""
_LONGEST_CODE = 100
_LONGEST_TEXT = 100_000
"""Characters of a server's error that are kept: it may contain the whole response of another server."""

QUOTED = re.compile(r"\"[^\"]*\"|(?<!\w)'[^']*'(?!\w)|`[^`]*`|“[^”]*”|«[^»]*»|「[^」]*」")
"""A quotation in a text of a server. An apostrophe within a word begins none."""
_HTTP_ERROR = re.compile("[45][0-9][0-9]")
_STATUS_PATTERNS = (
    (re.compile(r"rate_?limit|too many requests"), 429),
    (re.compile(r"overloaded|unavailable|try again"), 503),
    (re.compile(r"server_error|internal|upstream|time[d-]? ?out"), 500),
)
_MOST_KEYS = 50
_ERROR_KEYS = frozenset({"error", "errors", "detail", "base_resp", "ErrCode"})
_SUCCESS_CODES = frozenset({"0", "200", "201", "202", "success", "ok"})


@dataclass(frozen=True)
class HttpResponse:
    """One HTTP response with its whole body. The names in ``headers`` may be in upper or lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    reading: Reading | None = None
    """What the dialect reads in it; None where the usual places count."""

    @cached_property
    def document(self) -> object:
        """The JSON of the body, or None if it is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @cached_property
    def error(self) -> ServerError | None:
        """The error that the body states, or None. In a 2xx a text without a code is not an error."""
        if self.reading is not None:
            return self.reading.error
        found = read_server_error(self.document)
        if found is None or not self.ok or (isinstance(self.document, dict) and self.document.get("error")):
            return found
        return found if found.code else None

    @property
    def sign(self) -> Sign | None:
        """What the error is about, if the dialect recognises it."""
        return None if self.reading is None else self.reading.sign

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def stated_status(self) -> int | None:
        """The 4xx or 5xx status that the error in a 2xx response gives as its code."""
        code = self.error.code if self.ok and self.error else None
        return int(code) if code and _HTTP_ERROR.fullmatch(code) else None

    @property
    def effective_status(self) -> int:
        """The HTTP status; for a 2xx response that states an error, the status that it should have had."""
        if not (self.ok and self.error):
            return self.status
        if self.stated_status is not None:
            return self.stated_status
        return next((status for pattern, status in _STATUS_PATTERNS if pattern.search(self.error.words)), 400)

    @property
    def from_gateway(self) -> bool:
        """Whether the error is only ``{"message": "…"}``, as gateways of AWS and Kong in front of an API write it."""
        return isinstance(self.document, dict) and not self.document.keys() & {"error", "detail", "code"}

    @property
    def words(self) -> str:
        """The whole text of the error, in lower case; empty if there is no error."""
        return self.error.words if self.error else ""

    @property
    def unquoted_words(self) -> str:
        """The text of the error without quotations, in lower case.

        In a 2xx with only a code, such as ``queued``, and a text, the text does not describe an error. Then this is
        the code alone.
        """
        if self.error is None:
            return ""
        code = self.error.code or ""
        bare = self.ok and isinstance(self.document, dict) and not self.document.keys() & _ERROR_KEYS
        return code.casefold() if bare and not code.isdecimal() else unquoted(self.error.words)

    def __str__(self) -> str:
        """``HTTP 400: the text of the server``, on one line and of limited length."""
        if self.error:
            return f"HTTP {self.status}: {self.error}"
        if title := re.search(rb"<title[^>]{0,100}>([^<]{1,300})", self.body[:10_000], re.IGNORECASE):
            return f"HTTP {self.status} with a web page: {quote(title[1].decode('utf-8', 'replace'))}"
        if isinstance(self.document, dict):
            return f"HTTP {self.status} with JSON that has {_keys(self.document)}"
        if not self.body.strip():
            return f"HTTP {self.status} with no body"
        text = quote(self.body[:1000].decode("utf-8", "replace"))
        plain = self.document is None and text[:1] not in {"{", "[", "<"} and "\ufffd" not in text
        return f"HTTP {self.status}: {text}" if plain else f"HTTP {self.status} with an unreadable body"


@dataclass(frozen=True, slots=True)
class ServerError:
    """An error as a server states it. The code and the type are short and on one line; the text is only cut."""

    text: str
    code: str | None = None
    type: str | None = None

    def __post_init__(self) -> None:
        text = self.text[:_LONGEST_TEXT].encode("utf-8", "replace").decode("utf-8")
        object.__setattr__(self, "text", text)
        for name in ("code", "type"):
            value = getattr(self, name)
            object.__setattr__(self, name, quote(value, _LONGEST_CODE) or None if value else None)

    @property
    def words(self) -> str:
        """Its code, type and text, in lower case."""
        return " ".join(filter(None, (self.code, self.type, self.text[:10_000]))).casefold()

    def __str__(self) -> str:
        return quote(self.text or self.code or self.type or "no reason given")


@dataclass(frozen=True, slots=True)
class Reading:
    """The error of a response as its dialect reads it, and what it is about."""

    error: ServerError | None
    sign: Sign | None = None


def _keys(document: dict[str, object]) -> str:
    return f"the keys {quote(', '.join(islice(document, _MOST_KEYS)))}" if document else "no keys"


def unquoted(text: str) -> str:
    """``text`` without its quotations (a prompt, a name, another response as JSON), which could be misunderstood."""
    return QUOTED.sub(" ", text.partition('{"')[0])


def quote(text: str, longest: int = LONGEST_QUOTE) -> str:
    """``text`` on one line, printable, and cut to ``longest`` characters: safe for logs, terminals and the state.

    Everything that a server says passes through here, except ids, which `remote_ids` checks, prompts, which are only
    compared, and the links of clips.
    """
    start = text[: 10 * longest]
    printable = start if start.isprintable() else "".join(char if char.isprintable() else " " for char in start)
    line = " ".join(printable.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def read_server_error(document: object, depth: int = 3) -> ServerError | None:
    """The error in a JSON ``document``, in any shape of design §7, even if it is a string inside another error."""
    if isinstance(document, list) and len(document) == 1 and depth:
        # Gemini's OpenAI-compatible endpoint sends errors as a list with one entry.
        return read_server_error(document[0], depth - 1)
    if not isinstance(document, dict):
        return None
    match document:
        case {"error": dict(error)} | {"error": [dict(error), *_]} | {"errors": [dict(error), *_]}:
            found = _from_fields(error)
        case {"error": str(text)} if text.strip():
            found = ServerError(text, _plain_text(document.get("code")), _plain_text(document.get("type")))
        case {"detail": str(text)}:
            found = ServerError(text)
        case {"detail": [*errors]} if errors:
            found = ServerError("; ".join(map(_validation_error, errors)))
        case {"detail": dict(inner)} if depth:
            return read_server_error(inner, depth - 1)
        case {"base_resp": dict(inner)} if inner.get("status_code") != 0:
            # MiniMax: https://platform.minimax.io/docs
            found = ServerError(_plain_text(inner.get("status_msg")) or "", _plain_text(inner.get("status_code")))
        case {"ErrCode": int(code), "ErrMsg": str(text)} if code:
            # PixVerse
            found = ServerError(text, str(code))
        case {"message": str()} | {"msg": str()}:
            found = _from_fields(document)
        case _:
            return None
    if (found.code or "").lower() in _SUCCESS_CODES and not (found.text and "error" in document):
        return None
    return _unwrap(found, depth) if found.text or found.code or found.type else None


def _from_fields(error: dict[str, object]) -> ServerError:
    text = error.get("message") or error.get("msg") or error.get("detail")
    metadata = error.get("metadata")
    if isinstance(metadata, dict) and isinstance(raw := metadata.get("raw"), str) and isinstance(text, str):
        # OpenRouter's own text is always "Provider returned error".
        inner = _unwrap(ServerError(raw), 1)
        text = f"{text}: {inner.text}"
    return ServerError(_plain_text(text) or "", _plain_text(error.get("code")), _plain_text(error.get("type")))


def _plain_text(value: object) -> str | None:
    """A text or number as text, else None."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value).strip() or None


def _validation_error(entry: object) -> str:
    """One entry of FastAPI's ``detail`` list: ``{"loc": ["body", "seconds"], "msg": "…"}``."""
    match entry:
        case {"msg": str(message), "loc": [*where]}:
            return f"{'.'.join(filter(None, map(_plain_text, where)))}: {message}"
        case {"msg": str(message)} | {"message": str(message)} | str(message):
            return message
        case _:
            return "an error without a text"


def _unwrap(outer: ServerError, depth: int) -> ServerError:
    """The error of the upstream, where a gateway repeats the JSON of its upstream as its own message."""
    if not (depth and outer.text.lstrip().startswith("{")):
        return outer
    try:
        inner = read_server_error(json.loads(outer.text), depth - 1)
    except (ValueError, RecursionError):
        return outer
    return ServerError(inner.text, inner.code or outer.code, inner.type or outer.type) if inner else outer
