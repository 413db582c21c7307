"""The keys of ``api`` that say how the server differs from its dialect: form fields, auth, headers and query."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from sorawatch.config.rules import KEY_HINT
from sorawatch.core.dialect import BEARER, NO_KEY
from sorawatch.core.value_checks import CheckError, describe, text
from sorawatch.errors import ConfigError, Problem

if TYPE_CHECKING:
    from sorawatch.config.sections import Api, Config
    from sorawatch.core.value_checks import Section
    from sorawatch.core.yaml_tree import Node

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
"""The name of an HTTP header: ``token`` in RFC 9110 §5.6.2."""
_VARIABLE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)", re.ASCII)
_SECRET = re.compile(r"auth|key|token|secret|password|cookie", re.IGNORECASE)
_ORDER_FIELDS = ("model", "prompt", "seconds", "size")
"""The fields of every order, which extra fields must not override."""
_RESERVED_HEADERS = ("host", "content-type", "content-length", "transfer-encoding", "connection", "accept-encoding")


def auth(node: Node) -> str:
    """``bearer``, ``none``, or the name of the header that contains only the key."""
    if node.value is None:
        raise CheckError("is empty", "Allowed: bearer, none, or the name of a header such as X-Api-Key.")
    written = text(node).strip()
    if written.lower() in {BEARER, NO_KEY}:
        return written.lower()
    if written.startswith(("sk-", "Bearer ", "$")):
        raise CheckError("looks like a key, not like the name of a header", KEY_HINT)
    if not _NAME.fullmatch(written) or written.lower() in _RESERVED_HEADERS:
        raise CheckError(f"is {describe(node)}", "Allowed: bearer, none, or the name of a header such as X-Api-Key.")
    return written


def field_name(node: Node) -> str:
    """The name of a form field, other than those that we set ourselves."""
    written = text(node).strip()
    if written in _ORDER_FIELDS or not written.isprintable() or '"' in written:
        raise CheckError(f"is {describe(node)}", "Allowed: the name of the form's field, such as input_reference.")
    return written


def extra_fields(node: Node) -> tuple[tuple[str, str], ...]:
    """Names and values of form fields, in the order of the file."""
    found = _text_pairs(node, '{fps: "24"}')
    for name, _ in found:
        if name in _ORDER_FIELDS:
            raise CheckError(f'has "{name}", which every order sets for itself', "Leave it out.")
        if '"' in name:
            raise CheckError(f"has the name {name}", "Leave the quotation mark out.")
    return found


def query(node: Node) -> tuple[tuple[str, str], ...]:
    """Names and values that are added to the address of every request to the server."""
    found = _text_pairs(node, "{api-version: preview}")
    for name, _ in found:
        if _SECRET.search(name):
            raise CheckError(f'has "{name}", which is probably a secret', f"Addresses are logged. {KEY_HINT}")
    return found


def headers(node: Node) -> tuple[tuple[str, str], ...]:
    """Names of headers with their values, or with ``$NAME`` for the value of an environment variable.

    What looks like a secret must come from the environment, since configurations are copied, shown and kept in git.
    """
    found = _text_pairs(node, "{X-Team: film}")
    for name, value in found:
        if not _NAME.fullmatch(name) or name.lower() in _RESERVED_HEADERS:
            raise CheckError(f'has "{name}", a header that cannot be set here', "Leave it out.")
        if value.startswith("$"):
            if not _VARIABLE.fullmatch(value):
                raise CheckError(f"has a value for {name} that begins with $", "Write $NAME, an environment variable.")
        elif _SECRET.search(name):
            hint = f'Put it into an environment variable, such as GATEWAY_SECRET, and write "{name}: $GATEWAY_SECRET".'
            raise CheckError(f"has the value of {name}, which is probably a secret", hint)
        elif not _is_header_value(value):
            raise CheckError(f"has a value for {name} that a header cannot have", "Write plain ASCII text.")
    return found


def check_fields(section: Section, api: Api) -> None:
    """Report keys that contradict each other."""
    if api.image_field and api.image_field in dict(api.extra_fields):
        section.report(
            "extra_fields", f'has "{api.image_field}", which is the picture', "Give one of them another name."
        )
    names = [name.lower() for name, _ in api.headers]
    key_header = {BEARER: "Authorization", NO_KEY: None}.get(api.auth, api.auth)
    if key_header and key_header.lower() in names:
        what = f'has "{key_header}", which carries the API key'
        section.report("headers", what, 'Leave it out, or set "auth: none" and give it here as $NAME.')
    if len(set(names)) < len(names):
        section.report("headers", "names a header twice", "Keep one; upper and lower case are the same.")


def find_headers(config: Config, environ: Mapping[str, str]) -> Mapping[str, str]:
    """The configured headers, with every ``$NAME`` replaced by the value of that variable.

    Raises:
        ConfigError: a variable is not set, or has a value that a header cannot have. Its value is never in the message.
    """
    problems, found = [], {}
    for name, value in config.api.headers:
        where = f"{config.path}, api.headers.{name}"
        variable = _VARIABLE.fullmatch(value)
        found[name] = environ.get(variable[1], "").strip() if variable else value
        if variable and not found[name]:
            problems.append(Problem(where, f"the environment variable {variable[1]} is not set", "Set it."))
        elif not _is_header_value(found[name]):
            what = f"the environment variable {value} contains a character that a header cannot have"
            problems.append(Problem(where, what, "Put plain ASCII text there."))
    if problems:
        raise ConfigError(tuple(problems))
    return MappingProxyType(found)


def _text_pairs(node: Node, example: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(node.value, Mapping):
        raise CheckError(
            f"is {describe(node)}", f"Allowed: names with their values, such as {example}, or {{}} for none."
        )
    return tuple((name.strip(), text(value).strip()) for name, value in node.value.items())


def _is_header_value(value: str) -> bool:
    return bool(value) and value.isascii() and value.isprintable()
