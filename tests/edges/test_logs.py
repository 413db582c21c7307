"""Log lines: how they look, what they never hold, and what becomes of them when they cannot be written."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from sorawatch.core.log_fields import LogEvent, LogFields, log_extra
from sorawatch.edges import logs
from sorawatch.edges.logs.formats import JsonFormatter, PriorityFormatter, TextFormatter
from sorawatch.edges.logs.journald import JournalHandler, fields
from sorawatch.edges.logs.redaction import SECRETS

KEY = 'sk-/t"op+secret='
FACTS = LogFields(
    LogEvent.DELIVERED, job="j1", state="delivered", file="caf\udce9.jpg", video="v1", why="because", seconds=2.5
)


@pytest.fixture(autouse=True)
def _a_secret() -> None:
    SECRETS.add(KEY)


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """One that reaches nobody but the handlers of the test."""
    logger = logging.Logger("sorawatch")
    yield logger
    for handler in logger.handlers:
        handler.close()


def record(
    message: str = "beach.jpg: delivered", *args: object, level: int = logging.INFO, **more: Any
) -> logging.LogRecord:
    made = logging.LogRecord("sorawatch", level, "daemon.py", 7, message, args, None, "turn")
    for name, value in more.items():
        setattr(made, name, value)
    return made


class TestSecrets:
    class Shown:
        def __repr__(self) -> str:
            return f"<PreparedRequest Authorization: Bearer {KEY}>"

    @pytest.mark.parametrize(
        "written",
        [KEY, json.dumps(KEY)[1:-1], json.dumps(KEY)[1:-1].replace("/", "\\/"), quote(KEY, safe=""), repr(KEY)[1:-1]],
    )
    @pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter(), PriorityFormatter(TextFormatter().format)])
    def test_are_in_no_line_however_they_are_written(self, formatter: logging.Formatter, written: str) -> None:
        line = formatter.format(record(f"the server said {written}!"))
        assert "the server said [key]!" in line
        assert "op" not in line

    @pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
    def test_are_in_no_argument_header_exception_or_cause(self, formatter: logging.Formatter) -> None:
        try:
            try:
                raise ValueError({"Authorization": f"Bearer {KEY}"})
            except ValueError as cause:
                raise RuntimeError(f"GET /videos?key={KEY}") from cause
        except RuntimeError:
            told = formatter.format(record("asked with %s and %r", KEY, self.Shown(), exc_info=sys.exc_info()))
        assert "ValueError" in told
        assert "RuntimeError" in told
        assert "secret" not in told
        assert told.count("[key]") >= 4

    def test_are_in_no_field_of_a_journal(self) -> None:
        facts = LogFields(LogEvent.HELD, job=KEY, file=f"{KEY}.jpg", video=KEY, why=KEY)
        entry = fields(record("x", facts=facts), TextFormatter().format(record(KEY)))
        assert b"secret" not in b"".join(entry)
        assert entry.count(b"SORAWATCH_WHY=[key]") == 1

    def test_a_part_of_one_does_not_leave_the_rest_of_another(self) -> None:
        SECRETS.add("sk-short")
        SECRETS.add("sk-short-and-longer")
        assert SECRETS.hide("sk-short-and-longer, sk-short") == "[key], [key]"


class TestLines:
    def test_json_is_one_object_a_line_with_all_the_facts(self) -> None:
        line = JsonFormatter().format(record("two\nlines", facts=FACTS))
        assert "\n" not in line
        told = json.loads(line)
        assert told.pop("time").endswith("+00:00")
        assert told == {
            "level": "info",
            "message": "two\nlines",
            "event": "delivered",
            "job": "j1",
            "state": "delivered",
            "file": r"caf\udce9.jpg",
            "video": "v1",
            "why": "because",
            "seconds": 2.5,
        }

    @pytest.mark.parametrize(
        ("level", "mark"),
        [(logging.DEBUG, 7), (logging.INFO, 6), (logging.WARNING, 4), (logging.ERROR, 3), (logging.CRITICAL, 2)],
    )
    def test_every_line_for_a_journal_begins_with_its_priority(self, level: int, mark: int) -> None:
        told = record("one\ntwo", level=level, exc_text="Traceback:\n  ValueError")
        lines = PriorityFormatter(TextFormatter().format).format(told).splitlines()
        assert lines == [f"<{mark}>one two", f"<{mark}>Traceback:", f"<{mark}>  ValueError"]

    def test_names_that_are_no_text_are_escaped(self) -> None:
        assert TextFormatter().format(record("caf\udce9.jpg: found")) == r"caf\udce9.jpg: found"


class TestJournal:
    """What systemd-python's own handler gets wrong."""

    def test_every_field_arrives_in_capitals(self) -> None:
        entry = dict(field.split(b"=", 1) for field in fields(record(facts=FACTS), "delivered"))
        assert entry[b"SORAWATCH_JOB"] == b"j1"
        assert entry[b"SORAWATCH_STATE"] == b"delivered"
        assert entry[b"SORAWATCH_VIDEO"] == b"v1"
        assert entry[b"MESSAGE_ID"] == LogEvent.DELIVERED.message_id.encode()
        assert entry[b"PRIORITY"] == b"6"
        assert all(name == name.upper() for name in entry)

    def test_a_name_that_is_no_text_arrives_as_its_own_bytes(self) -> None:
        odd = record("caf\udce9.jpg: delivered", facts=FACTS)
        entry = fields(odd, TextFormatter().format(odd))
        assert b"SORAWATCH_FILE=caf\xe9.jpg" in entry
        assert rb"MESSAGE=caf\udce9.jpg: delivered" in entry

    def test_the_arguments_of_a_call_are_not_copied_into_it(self) -> None:
        entry = fields(record("of %s", {"Authorization": "Bearer token"}), "of something")
        assert b"token" not in b"".join(entry)

    @pytest.mark.parametrize("fault", [OSError(111, "Connection refused"), ValueError("embedded null byte")])
    def test_a_line_that_it_refuses_goes_to_stderr_and_harms_nobody(
        self, logger: logging.Logger, fault: Exception
    ) -> None:
        def refuse(*_: bytes) -> None:
            raise fault

        stderr = io.StringIO()
        logger.addHandler(JournalHandler(refuse, logging.StreamHandler(stderr)))
        logger.info("beach.jpg: delivered", extra=log_extra(FACTS))
        assert stderr.getvalue() == "beach.jpg: delivered\n"

    def test_every_event_has_an_id_of_its_own(self) -> None:
        ids = {event.message_id for event in LogEvent}
        assert len(ids) == len(LogEvent)
        assert all(len(bytes.fromhex(each)) == 16 for each in ids)


class TestFile:
    @pytest.fixture
    def path(self, tmp_path: Path, logger: logging.Logger) -> Path:
        logger.addHandler(logs.file_handler(tmp_path / "log/sorawatch.log", as_json=True))
        return tmp_path / "log/sorawatch.log"

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        (tmp_path / "log").mkdir()

    def test_it_may_be_rotated_at_any_time(self, logger: logging.Logger, path: Path) -> None:
        logger.info("before")
        path.rename(path.with_suffix(".1"))
        logger.info("after")
        assert json.loads(path.with_suffix(".1").read_text())["message"] == "before"
        assert json.loads(path.read_text())["message"] == "after"

    def test_losing_its_folder_harms_nobody(
        self, logger: logging.Logger, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(logging, "raiseExceptions", False)
        logger.info("before")
        path.unlink()
        path.parent.rmdir()
        logger.info("lost")
        path.parent.mkdir()
        logger.info("after")
        assert json.loads(path.read_text())["message"] == "after"
