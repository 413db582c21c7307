"""The simulated APIs, one in each module. `sorawatch.simulator.settings.APIS` lists them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sorawatch.simulator.api import Api


def load(name: str) -> type[Api]:
    """The API called ``name``, a key of `sorawatch.simulator.settings.APIS`."""
    api: type[Api] = import_module(f"{__name__}.{name.replace('-', '_')}").API
    return api
