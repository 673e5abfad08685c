"""The lines of a proxy on stderr: text, or one JSON object a line."""

from __future__ import annotations

import json
import logging
import sys
import threading
from types import TracebackType
from typing import Literal

from ..policy.state_changes import StateChange, iso_time

__all__ = ("JsonFormatter", "LogFormat", "LogLines")

LogFormat = Literal["text", "json"]

log: logging.Logger = logging.getLogger("mcroute")


class LogLines:
    """Sets up the log of this process. Its methods write what is no record of the log as text.

    In JSON these are records too, and so are warnings of Python and uncaught exceptions.
    """

    def __init__(self, log_format: LogFormat) -> None:
        self._is_json = log_format == "json"
        if self._is_json:
            _log_json()
        else:
            logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)

    def info(self, text: str) -> None:
        self._write(logging.INFO, text, text)

    def warning(self, text: str) -> None:
        self._write(logging.WARNING, text, f"Warning: {text}")

    def error(self, text: str) -> None:
        self._write(logging.ERROR, text, f"Error: {text}")

    def _write(self, level: int, message: str, line: str) -> None:
        if self._is_json:
            log.log(level, "%s", message)
        else:
            print(line, file=sys.stderr, flush=True)


class JsonFormatter(logging.Formatter):
    """`time`, `level` and `message` of a record, and the fields of its `StateChange` if it has one.

    `traceback` is the text of an exception.
    """

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "time": iso_time(record.created),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        change = getattr(record, "state_change", None)
        if isinstance(change, StateChange):
            fields.update(change.as_json())
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields)


def _log_json() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    handler.addFilter(lambda record: record.levelno >= logging.INFO or hasattr(record, "state_change"))
    logging.basicConfig(handlers=[handler], level=logging.INFO)
    # The steps of a return are logged as DEBUG.
    log.setLevel(logging.DEBUG)
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    log.critical("%s", error or kind.__name__, exc_info=(kind, error, trace))


def _uncaught_in_thread(event: threading.ExceptHookArgs) -> None:
    if event.exc_value is not None:
        _uncaught(event.exc_type, event.exc_value, event.exc_traceback)
