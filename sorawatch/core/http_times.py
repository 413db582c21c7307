"""Points in time and waits, as servers write them."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_WAIT = 3600.0
"""Seconds: the longest wait that a server can impose."""

_RATE_LIMIT_HEADERS = (
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    ("ratelimit-remaining", "ratelimit-reset"),
)
"""Pairs of headers: how many requests remain, and when the count is reset. They are those of OpenAI, of many gateways,
and of draft-ietf-httpapi-ratelimit-headers before its eighth version."""

_LONGEST_DURATION = 1e9
"""Seconds: a larger number is not a duration but a Unix time."""

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3}


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """The seconds that a server asks us to wait, between 0 and `LONGEST_WAIT`, or None if it does not say.

    Reads ``retry-after-ms``, ``Retry-After`` in seconds or as a date, and, for each pair of `_RATE_LIMIT_HEADERS` of
    which no request remains, the time of the reset (``1s``, ``6m0s``, seconds, or Unix seconds).

    Args:
        now: the Unix time in seconds.
    """
    lower = {name.lower(): value.strip() for name, value in headers.items()}
    wait = _number(lower.get("retry-after-ms"), 1e-3)
    if wait is None and (text := lower.get("retry-after")):
        wait = _number(text)
        if wait is None:
            wait = _seconds_until(text, now)
    return rate_limit_wait(headers, now) if wait is None else min(max(wait, 0.0), LONGEST_WAIT)


def has_retry_after(headers: Mapping[str, str]) -> bool:
    """Whether there is a ``Retry-After`` or ``retry-after-ms`` header."""
    return any(name.lower() in {"retry-after", "retry-after-ms"} and value.strip() for name, value in headers.items())


def rate_limit_wait(headers: Mapping[str, str], now: float) -> float | None:
    """The seconds, at most `LONGEST_WAIT`, until the server accepts requests again after its rate limit was reached.

    None if `_RATE_LIMIT_HEADERS` say that requests remain, or say nothing. Servers also send them with a success.
    """
    lower = {name.lower(): value.strip() for name, value in headers.items()}
    resets = [lower.get(reset, "") for remaining, reset in _RATE_LIMIT_HEADERS if lower.get(remaining) == "0"]
    wait = max((found for text in resets if (found := _reset(text, now)) is not None), default=None)
    return None if wait is None else min(max(wait, 0.0), LONGEST_WAIT)


def _reset(text: str, now: float) -> float | None:
    number = _number(text)
    if number is None:
        return _duration(text)
    return number - now if number > _LONGEST_DURATION else number


def unix_seconds(value: object) -> int | None:
    """Unix seconds from Unix seconds or milliseconds (a number, or a number as text), or from an ISO date."""
    number = _number(str(value)) if isinstance(value, int | float | str) and not isinstance(value, bool) else None
    if number is None and isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip())
            number = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return None
    if number is None or not 0 < number < 1e14:
        return None
    return int(number / 1000 if number >= 1e11 else number)


def _number(text: str | None, unit: float = 1.0) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value * unit if math.isfinite(value) else None


def _seconds_until(date: str, now: float) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now
    except (ValueError, OverflowError, IndexError, TypeError):
        return None


def _duration(text: str) -> float | None:
    """Go's notation for durations: ``1h2m3.5s``, ``120ms``."""
    parts = re.findall(r"(\d{1,9}(?:\.\d{1,9})?)(ms|[hms])", text)
    return sum(float(value) * _UNITS[unit] for value, unit in parts) if parts else None
