"""The events of log lines."""

from __future__ import annotations

import re

from sorawatch.core.log_fields import LogEvent, LogFields, log_extra


def test_each_event_has_a_name_and_an_id_of_its_own() -> None:
    assert LogEvent.HELD.value == "held"
    ids = {event.message_id for event in LogEvent}
    assert len(ids) == len(LogEvent)
    assert all(re.fullmatch(r"[0-9a-f]{32}", each) for each in ids)


def test_a_log_call_passes_its_fields_on() -> None:
    fields = LogFields(LogEvent.HELD, job="k3m9x2pq")
    assert log_extra(fields) == {"facts": fields}
