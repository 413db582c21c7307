"""The exceptions that a request may raise, and their messages."""

from __future__ import annotations

from typing import Final

import requests
import urllib3

from sorawatch.core.error_bodies import quote

REQUEST_ERRORS: Final = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)
"""What a request may raise: errors of requests, urllib3 or the socket, and ValueError for invalid redirects."""


def root_cause(error: BaseException) -> str:
    """The message of the innermost cause of ``error``; the outer ones only add addresses and class names."""
    for _ in range(8):
        causes = (error.__cause__, getattr(error, "reason", None), *reversed(error.args))
        error = next((cause for cause in causes if isinstance(cause, BaseException)), error)
    return quote(str(error) or type(error).__name__)
