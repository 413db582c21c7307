"""The configuration: a YAML file under environment overrides, checked in full, as frozen values.

``find`` says which file, ``load`` reads it, ``find_key`` says where the API key is, which no ``Config`` ever holds.
"""

from sorawatch.config.changes import changed, merged
from sorawatch.config.dialect import find_headers
from sorawatch.config.files import begin, example, find, starter
from sorawatch.config.keys import KeySource, find_key
from sorawatch.config.loading import load
from sorawatch.config.sections import (
    Api,
    Config,
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
    "begin",
    "changed",
    "example",
    "find",
    "find_headers",
    "find_key",
    "load",
    "merged",
    "starter",
]
