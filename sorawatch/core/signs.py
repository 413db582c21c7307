"""What a refusal is about, as a dialect recognises it by words, codes and statuses."""

from __future__ import annotations

import re
from enum import StrEnum

HTTP_STATUS = re.compile(r"http ([1-5][0-9][0-9])", re.IGNORECASE)
"""How a sign names a status."""


class Sign(StrEnum):
    """What a refusal is about."""

    EXISTS = "exists"
    """An order with this tag is there already: it is looked up."""
    UNKNOWN = "unknown"
    """The answer proves nothing: the order may be there."""
    KEY = "key"
    CREDIT = "credit"
    MODEL = "model"
    MODERATION = "moderation"
    BUSY = "busy"
    ORDER = "order"
    """Anything else about this order alone."""


Signs = tuple[tuple[Sign, tuple[str | int, ...]], ...]
"""For each sign its words, its codes (numbers), and its statuses (such as ``http 402``)."""


def recognised(signs: Signs, words: str, code: str | None, status: int) -> Sign | None:
    """The sign of an error: by its words first, then its code, then the HTTP status.

    Args:
        words: the whole text of the error in lower case, without quotations.
    """
    given = [(sign, each) for sign, values in signs for each in values]
    texts = [(sign, each.casefold()) for sign, each in given if isinstance(each, str) and not HTTP_STATUS.match(each)]
    by_text = (sign for sign, text in texts if text == (code or "").casefold() or text in words)
    by_code = (sign for sign, each in given if isinstance(each, int) and str(each) == code)
    by_status = (
        sign
        for sign, each in given
        if isinstance(each, str) and (found := HTTP_STATUS.fullmatch(each)) and int(found[1]) == status
    )
    return next(by_text, None) or next(by_code, None) or next(by_status, None)
