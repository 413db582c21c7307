"""``sorawatch servers``: which servers can be used, what a dialect says, and what it would send."""

from __future__ import annotations

import io
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from sorawatch.app.build import USER_AGENT
from sorawatch.cli.check import Finding
from sorawatch.cli.tables import table
from sorawatch.config import dialect_file
from sorawatch.config.keys import VARIABLE
from sorawatch.core.dialect import Needs
from sorawatch.core.order import Aim, Model, Size
from sorawatch.core.placeholders import names_in
from sorawatch.core.value_checks import CheckError
from sorawatch.errors import Blocked, Rejected, SorawatchError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from rich.table import Table

    from sorawatch.core.dialect import Dialect
    from sorawatch.edges.api import VideoApi

_NEEDS = {Needs.KEY: "an API key", Needs.GPU: "your own GPU"}
_TIMEOUT = 20.0


def listing() -> Table:
    """One line for each shipped dialect."""
    lines = table("name", "what it is", "needs", "known from")
    for name in dialect_file.names():
        dialect = dialect_file.shipped(name)
        known = f"tried: {dialect.tried}" if dialect.tried else "its documentation and source only"
        lines.add_row(name, dialect.about, _NEEDS[dialect.needs], known)
    return lines


def opened(name: str, base: Path, graph: Path | None) -> Dialect:
    """The dialect of a name or a file.

    Raises:
        ConfigError: with every problem found.
        Rejected: the graph cannot be used.
    """
    path = base / name
    dialect = dialect_file.from_file(path) if dialect_file.is_path(name) else dialect_file.shipped(name)
    if not dialect_file.needs_graph(dialect):
        return dialect
    if graph is None:
        raise Rejected(f"{dialect.name} makes clips by a workflow of your own", "Name its file with --graph.")
    try:
        return dialect_file.read_graph(dialect, graph)
    except CheckError as error:
        raise Rejected(error.what, error.hint) from error


@dataclass(frozen=True, slots=True)
class Request:
    """The order that would be sent, for people."""

    line: str
    headers: tuple[str, ...]
    body: str


def request(dialect: Dialect, url: str, model: str) -> Request:
    """The order of a sample picture. Nothing is sent."""
    from sorawatch.edges.api import OrderTerms, Picture  # noqa: PLC0415 -- the HTTP library loads slowly
    from sorawatch.edges.api.request_body import described, order_body, order_values  # noqa: PLC0415

    entry = dialect.described(model)
    known = entry.model if entry is not None else Model(model, None, None)
    size = known.resolve(Aim.LANDSCAPE, Size(16, 9))
    seconds = str((known.seconds or (8,))[0])
    sample = io.BytesIO()
    Image.new("RGB", (size.width, size.height)).save(sample, "JPEG")
    terms = OrderTerms(model, "Gentle waves, slow push-in", str(size), seconds, str(uuid.UUID(int=1)))
    body = order_body(terms, dialect)
    picture = Picture(sample.getvalue(), "beach.jpg", "image/jpeg")
    values = order_values(terms, picture, dialect, frozenset(names_in(body.template)))
    if dialect.upload is not None:
        values["upload"] = "(what the upload answers)"
    headers = [f"{name}: {value}" for name, value in dialect.headers]
    if dialect.key is not None:
        headers.append(f"{dialect.key.name}: {dialect.key.prefix}[key]")
    return Request(f"POST {url}{dialect.create.url} as {body.encoding}", tuple(headers), described(body, values))


def free_requests(dialect: Dialect, url: str, environ: Mapping[str, str]) -> Iterator[Finding]:
    """What the requests of the dialect that cost nothing bring, at the server of ``url``."""
    from sorawatch.edges.api import VideoApi  # noqa: PLC0415 -- the HTTP library loads slowly

    key = environ.get(VARIABLE, "").strip() or None
    api = VideoApi(dialect, url, lambda: key, timeout_seconds=_TIMEOUT, user_agent=USER_AGENT)
    try:
        yield from about_server(api, f"{url}")
    finally:
        api.close()


def about_server(api: VideoApi, where: str) -> Iterator[Finding]:
    """Whether the server answers, accepts the key, and can be asked for an order whose answer was lost."""
    dialect = api.dialect
    accepted = False
    for what, ask in (("its list of videos", _list), ("its free request", _models), ("the look-up by tag", _tag)):
        try:
            told = ask(api)
        except Blocked as error:
            yield Finding(f"{where}: {error}", error.hint, grave=True)
            return
        except Rejected as error:
            yield Finding(f"{where}: {what}: {error}", "Correct the address in the dialect, or remove that step.")
            continue
        except SorawatchError as error:
            hint = "Check the address, the network and the proxy settings of the environment."
            yield Finding(f"{where}: {error}", hint, grave=True)
            return
        if told:
            accepted = True
            yield Finding(f"{where}: {what}: {told}")
    if not accepted:
        yield Finding(f"{where}: {dialect.name} has no request that costs nothing, so nothing was asked")


def _list(api: VideoApi) -> str:
    if api.dialect.list is None:
        return ""
    found = len(api.page(limit=1).videos)
    return f"can be read, and shows {found or 'no'} video{'' if found == 1 else 's'} on the first page of one"


def _models(api: VideoApi) -> str:
    if api.dialect.check is None:
        return ""
    names = api.models()
    return f"is answered; models: {', '.join(names[:12])}" if names else "is answered; it names no models"


def _tag(api: VideoApi) -> str:
    if not api.dialect.tag_look_ups:
        return ""
    found = api.find_tagged(str(uuid.uuid4()))
    if found:
        raise Rejected(f"it finds {found[0]} for a tag that no order has", "")
    return "is answered, and finds nothing for a tag that no order has"
