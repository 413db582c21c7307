"""JSON Merge Patch (RFC 7396): maps merge, null removes, everything else replaces."""

from __future__ import annotations

from collections.abc import Mapping

from sorawatch.core.pointers import steps


def merged(target: object, patch: object) -> object:
    """``target`` with ``patch`` applied. Neither is changed."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def merged_at(target: object, pointer: str, patch: Mapping[str, object]) -> object:
    """``target`` with ``patch`` applied to the map at ``pointer``, which is made if it is missing."""
    nested: object = patch
    for step in reversed(steps(pointer)):
        nested = {step: nested}
    return merged(target, nested)
