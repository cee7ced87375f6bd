"""Logging: text for people, JSON lines for machines, one place that sets both up."""

import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from hector.core.pattern import pattern
from hector.observe.redact import redact

ROOT: Final = "hector"
_ACTIVE: Final = pattern("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Line breaks, what steers a terminal, and what turns text around."""
_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


def _fields(record: logging.LogRecord) -> dict[str, object]:
    """What the caller passed as `extra`."""
    return {key: value for key, value in record.__dict__.items() if key not in _STANDARD}


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _one_line(value: object) -> str:
    """A value without signs that do something, so that nobody's error text passes for a line of ours, or hides one."""
    text = str(value)
    if text.isprintable():
        return text
    return _ACTIVE.sub(lambda sign: sign[0].encode("unicode_escape").decode(), text)


class TextFormatter(logging.Formatter):
    """`12:00:00.123Z INFO message key=value`."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{_time(record)} {record.levelname:<7} {record.getMessage()}"
        line += "".join(f" {key}={_one_line(value)}" for key, value in _fields(record).items())
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return redact(line)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, the extra fields, exception."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return redact(json.dumps(entry, default=str, ensure_ascii=False))


def set_up(level: str = "info", layout: Literal["text", "json"] = "text", file: Path | None = None) -> None:
    """Send Hector's and the web server's logs to standard error, or append them to `file` (made with mode 0600).

    Raises OSError when the file cannot be opened.
    """
    handler: logging.Handler
    if file is None:
        handler = logging.StreamHandler(sys.stderr)
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600, exist_ok=True)
        handler = logging.FileHandler(file, encoding="utf-8")
    handler.setFormatter(JsonFormatter() if layout == "json" else TextFormatter())
    for name in (ROOT, "uvicorn"):
        logger = logging.getLogger(name)
        for old in logger.handlers[:]:
            logger.removeHandler(old)
            old.close()
        logger.addHandler(handler)
        logger.propagate = False
        logger.setLevel(level.upper())
    logging.getLogger("uvicorn").setLevel(max(logging.WARNING, logging.getLogger(ROOT).level))
