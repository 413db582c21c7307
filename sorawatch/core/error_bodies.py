"""What a server says in an answer, whichever JSON shape it says it in."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_QUOTE = 300
"""Characters of a server's text that our messages repeat."""

_QUOTED = re.compile(r"\"[^\"]*\"|(?<!\w)'[^']*'(?!\w)|`[^`]*`|“[^”]*”|«[^»]*»|「[^」]*」")
_HTTP_ERROR = re.compile("[45][0-9][0-9]")
_KINDS = (
    (re.compile(r"rate_?limit|too many requests"), 429),
    (re.compile(r"overloaded|unavailable|try again"), 503),
    (re.compile(r"server_error|internal|upstream|time[d-]? ?out"), 500),
)
_ERROR_KEYS = frozenset({"error", "errors", "detail", "base_resp", "ErrCode"})
_SUCCESS = frozenset({"0", "200", "201", "202", "success", "ok"})


@dataclass(frozen=True)
class HttpResponse:
    """One HTTP answer, read whole. Names in ``headers`` may be in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @cached_property
    def document(self) -> object:
        """The body's JSON, or None where it is something else."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @cached_property
    def error(self) -> ServerError | None:
        """The error that the body states, or None where it states none. A text without a code is none in a 2xx."""
        found = read_server_error(self.document)
        if found is None or not self.ok or (isinstance(self.document, dict) and self.document.get("error")):
            return found
        return found if found.code else None

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def stated_status(self) -> int | None:
        """The 4xx or 5xx that the error in a 2xx names as its code."""
        code = self.error.code if self.ok and self.error else None
        return int(code) if code and _HTTP_ERROR.fullmatch(code) else None

    @property
    def effective_status(self) -> int:
        """The status, or for a 2xx with an error in it the status that it should have had."""
        if not (self.ok and self.error):
            return self.status
        if self.stated_status is not None:
            return self.stated_status
        return next((status for pattern, status in _KINDS if pattern.search(self.error.words)), 400)

    @property
    def from_gateway(self) -> bool:
        """Whether the error is a bare ``{"message": "…"}``: so speak AWS's and Kong's gateways in front of an API."""
        return isinstance(self.document, dict) and not self.document.keys() & {"error", "detail", "code"}

    @property
    def words(self) -> str:
        """Everything that the complaint says, in lower case."""
        return self.error.words if self.error else ""

    @property
    def own_words(self) -> str:
        """What the complaint says without quotations.

        Beside a bare code in a 2xx, such as ``queued``, a text says nothing of a refusal: then it is the code alone.
        """
        if self.error is None:
            return ""
        code = self.error.code or ""
        bare = self.ok and isinstance(self.document, dict) and not self.document.keys() & _ERROR_KEYS
        return code.casefold() if bare and not code.isdecimal() else unquoted(self.error.words)

    def __str__(self) -> str:
        """``HTTP 400: the server's own words``, on one line and never long."""
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
    """An error as a server states it."""

    text: str
    code: str | None = None
    type: str | None = None

    @property
    def words(self) -> str:
        """Everything that it says, in lower case."""
        return " ".join(filter(None, (self.code, self.type, self.text[:10_000]))).casefold()

    def __str__(self) -> str:
        return quote(self.text or self.code or self.type or "no reason given")


def _keys(document: dict[str, object]) -> str:
    return f"the keys {quote(', '.join(document))}" if document else "no keys"


def unquoted(text: str) -> str:
    """``text`` without what it quotes: a prompt, a name, or another answer as JSON, which say nothing of the matter."""
    return _QUOTED.sub(" ", text.partition('{"')[0])


def quote(text: str) -> str:
    """``text`` on one line, printable, and cut to `LONGEST_QUOTE` characters."""
    printable = "".join(char if char.isprintable() else " " for char in text[: 10 * LONGEST_QUOTE])
    line = " ".join(printable.split())
    return line if len(line) <= LONGEST_QUOTE else line[: LONGEST_QUOTE - 1] + "…"


def read_server_error(document: object, depth: int = 3) -> ServerError | None:
    """The error in a JSON ``document``: any of the shapes of design §7, also where one is a string within another."""
    if isinstance(document, list) and len(document) == 1 and depth:
        # Gemini's OpenAI-compatible endpoint answers errors as a list of one.
        return read_server_error(document[0], depth - 1)
    if not isinstance(document, dict):
        return None
    match document:
        case {"error": dict(error)} | {"error": [dict(error), *_]} | {"errors": [dict(error), *_]}:
            found = _flat(error)
        case {"error": str(text)} if text.strip():
            found = ServerError(text, _word(document.get("code")), _word(document.get("type")))
        case {"detail": str(text)}:
            found = ServerError(text)
        case {"detail": [*faults]} if faults:
            found = ServerError("; ".join(map(_fault, faults)))
        case {"detail": dict(inner)} if depth:
            return read_server_error(inner, depth - 1)
        case {"base_resp": dict(inner)} if inner.get("status_code") != 0:
            # MiniMax: https://platform.minimax.io/docs
            found = ServerError(_word(inner.get("status_msg")) or "", _word(inner.get("status_code")))
        case {"ErrCode": int(code), "ErrMsg": str(text)} if code:
            # PixVerse
            found = ServerError(text, str(code))
        case {"message": str()} | {"msg": str()}:
            found = _flat(document)
        case _:
            return None
    if (found.code or "").lower() in _SUCCESS and not (found.text and "error" in document):
        return None
    return _unwrap(found, depth) if found.text or found.code or found.type else None


def _flat(error: dict[str, object]) -> ServerError:
    text = error.get("message") or error.get("msg") or error.get("detail")
    metadata = error.get("metadata")
    if isinstance(metadata, dict) and isinstance(raw := metadata.get("raw"), str) and isinstance(text, str):
        # OpenRouter's own text is always "Provider returned error".
        inner = _unwrap(ServerError(raw), 1)
        text = f"{text}: {inner.text}"
    return ServerError(_word(text) or "", _word(error.get("code")), _word(error.get("type")))


def _word(value: object) -> str | None:
    """A text or number as text without lone surrogates, which no file or database takes."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value).encode("utf-8", "replace").decode("utf-8").strip() or None


def _fault(fault: object) -> str:
    """One entry of FastAPI's ``detail`` list: ``{"loc": ["body", "seconds"], "msg": "…"}``."""
    match fault:
        case {"msg": str(message), "loc": [*where]}:
            return f"{'.'.join(filter(None, map(_word, where)))}: {message}"
        case {"msg": str(message)} | {"message": str(message)} | str(message):
            return message
        case _:
            return "a fault without a text"


def _unwrap(outer: ServerError, depth: int) -> ServerError:
    """A gateway quotes its upstream's JSON as its own message: what the upstream says is what helps."""
    if not (depth and outer.text.lstrip().startswith("{")):
        return outer
    try:
        inner = read_server_error(json.loads(outer.text), depth - 1)
    except (ValueError, RecursionError):
        return outer
    return ServerError(inner.text, inner.code or outer.code, inner.type or outer.type) if inner else outer
