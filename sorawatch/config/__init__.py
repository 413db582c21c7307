"""The configuration: a YAML file with environment overrides, fully checked, as frozen values.

``find`` finds the file, ``load`` reads it. ``find_key`` finds the API key, which is never part of a ``Config``.
"""

from sorawatch.config.changes import changed, merged
from sorawatch.config.dialect import find_headers
from sorawatch.config.files import create_starter, example, find, starter
from sorawatch.config.keys import CurrentKey, KeySource, find_key
from sorawatch.config.loading import load
from sorawatch.config.sections import (
    Api,
    Config,
    DecoderOptions,
    Duplicates,
    Folders,
    LogFormat,
    Logging,
    LogLevel,
    UnresolvedSubmit,
    WatchMode,
    WatchOptions,
)
from sorawatch.core.job import Billing
from sorawatch.core.limits import Limits

__all__ = [
    "Api",
    "Billing",
    "Config",
    "CurrentKey",
    "DecoderOptions",
    "Duplicates",
    "Folders",
    "KeySource",
    "Limits",
    "LogFormat",
    "LogLevel",
    "Logging",
    "UnresolvedSubmit",
    "WatchMode",
    "WatchOptions",
    "changed",
    "create_starter",
    "example",
    "find",
    "find_headers",
    "find_key",
    "load",
    "merged",
    "starter",
]
