"""How the configured server differs from the reference: ``api.image_field`` to ``api.auth``, and the headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from sorawatch.config.rules import KEY_BELONGS
from sorawatch.core.schema import CheckError, shown, text
from sorawatch.errors import ConfigError, Problem

if TYPE_CHECKING:
    from sorawatch.config.sections import Api, Config
    from sorawatch.core.schema import Section
    from sorawatch.core.yaml_tree import Node

BEARER, NO_KEY = "bearer", "none"

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
"""A field name of HTTP: ``token`` of RFC 9110 §5.6.2."""
_VARIABLE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)", re.ASCII)
_SECRET = re.compile(r"auth|key|token|secret|password|cookie", re.IGNORECASE)
_OURS = ("model", "prompt", "seconds", "size")
"""The fields of every order, which no extra field may say otherwise."""
_OF_THE_REQUEST = ("host", "content-type", "content-length", "transfer-encoding", "connection", "accept-encoding")


def auth(node: Node) -> str:
    """``bearer``, ``none``, or the name of the header that carries the bare key."""
    if node.value is None:
        raise CheckError("is empty", "Allowed: bearer, none, or the name of a header such as X-Api-Key.")
    written = text(node).strip()
    if written.lower() in {BEARER, NO_KEY}:
        return written.lower()
    if written.startswith(("sk-", "Bearer ", "$")):
        raise CheckError("looks like a key, not like the name of a header", KEY_BELONGS)
    if not _NAME.fullmatch(written) or written.lower() in _OF_THE_REQUEST:
        raise CheckError(f"is {shown(node)}", "Allowed: bearer, none, or the name of a header such as X-Api-Key.")
    return written


def field_name(node: Node) -> str:
    """The name of a form field, other than those that we set ourselves."""
    written = text(node).strip()
    if written in _OURS or not written.isprintable() or '"' in written:
        raise CheckError(f"is {shown(node)}", "Allowed: the name of the form's field, such as input_reference.")
    return written


def extra_fields(node: Node) -> tuple[tuple[str, str], ...]:
    """Names and values of form fields, in the order in which they are written."""
    found = _texts(node, '{fps: "24"}')
    for name, _ in found:
        if name in _OURS:
            raise CheckError(f'has "{name}", which every order sets for itself', "Leave it out.")
        if '"' in name:
            raise CheckError(f"has the name {name}", "Leave the quotation mark out.")
    return found


def headers(node: Node) -> tuple[tuple[str, str], ...]:
    """Names of headers with their values, or with ``$NAME`` for what an environment variable holds.

    What looks like a secret is taken from the environment only: a configuration is copied, shown and kept in git.
    """
    found = _texts(node, "{X-Team: film}")
    for name, value in found:
        if not _NAME.fullmatch(name) or name.lower() in _OF_THE_REQUEST:
            raise CheckError(f'has "{name}", which is no header of yours to set', "Leave it out.")
        if value.startswith("$"):
            if not _VARIABLE.fullmatch(value):
                raise CheckError(f"has a value for {name} that begins with $", "Write $NAME, an environment variable.")
        elif _SECRET.search(name):
            hint = f'Put it into an environment variable, such as GATEWAY_SECRET, and write "{name}: $GATEWAY_SECRET".'
            raise CheckError(f"has the value of {name} in plain sight", hint)
        elif not _fits(value):
            raise CheckError(f"has a value for {name} that no header can hold", "Write plain ASCII text.")
    return found


def check_fields(section: Section, api: Api) -> None:
    """Note what the keys of a dialect can only say wrongly together."""
    if api.image_field in dict(api.extra_fields):
        section.note("extra_fields", f'has "{api.image_field}", which is the picture', "Give one of them another name.")
    names = [name.lower() for name, _ in api.headers]
    carrier = {BEARER: "Authorization", NO_KEY: None}.get(api.auth, api.auth)
    if carrier and carrier.lower() in names:
        what = f'has "{carrier}", which carries the API key'
        section.note("headers", what, 'Leave it out, or set "auth: none" and give it here as $NAME.')
    if len(set(names)) < len(names):
        section.note("headers", "names a header twice", "Keep one; upper and lower case are the same.")


def find_headers(config: Config, environ: Mapping[str, str]) -> Mapping[str, str]:
    """The configured headers, with what ``$NAME`` stands for in their place.

    Raises:
        ConfigError: a variable is not set, or holds what no header can. The message never shows its value.
    """
    problems, found = [], {}
    for name, value in config.api.headers:
        where = f"{config.path}, api.headers.{name}"
        variable = _VARIABLE.fullmatch(value)
        found[name] = environ.get(variable[1], "").strip() if variable else value
        if variable and not found[name]:
            problems.append(Problem(where, f"the environment variable {variable[1]} is not set", "Set it."))
        elif not _fits(found[name]):
            what = f"the environment variable {value} holds a character that no header can"
            problems.append(Problem(where, what, "Put plain ASCII text there."))
    if problems:
        raise ConfigError(tuple(problems))
    return MappingProxyType(found)


def _texts(node: Node, example: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(node.value, Mapping):
        raise CheckError(f"is {shown(node)}", f"Allowed: names with their values, such as {example}, or {{}} for none.")
    return tuple((name.strip(), text(value).strip()) for name, value in node.value.items())


def _fits(value: str) -> bool:
    return bool(value) and value.isascii() and value.isprintable()
