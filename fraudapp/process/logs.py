"""The log as text for people or as JSON lines, each with the ids of the request it belongs to."""

from __future__ import annotations

import logging
import sys
import threading
from typing import Any, Final, Literal

from fraudapp.process import traces

log = logging.getLogger(__name__)

AUDIT: Final = "fraudapp.audit"
"""The logger that tells who wrote what; its lines appear at every log level."""
Format = Literal["text", "json"]

_FIELDS: Final = {"levelname": "level", "name": "logger"}
# Attributes that Faust adds for its text format; the values of some cannot become JSON.
_LEFT_OUT: Final = ("data", "extra", "stack")


class Traced(logging.Filter):
    """Adds the ids of the current request to every log record, and drops none."""

    def __init__(self, form: Format) -> None:
        super().__init__()
        self._text = form == "text"

    def filter(self, record: logging.LogRecord) -> bool:
        """See `logging.Filter`."""
        trace = traces.current()
        if trace is not None and not trace.ended:
            ids = {"request_id": trace.request_id, "trace_id": trace.trace_id}
            if self._text:  # Faust appends `data` to the line
                record.__dict__["data"] = {**record.__dict__.get("data", {}), **ids}
            else:
                record.__dict__.update(ids, span_id=trace.span_id)
        return True


def set_up(root: logging.Logger, form: Format) -> None:
    """Let every library log in this form. Called once, with the handlers of `root` in place."""
    logging.getLogger(AUDIT).setLevel(logging.INFO)
    for handler in root.handlers:
        handler.setLevel(logging.NOTSET)  # the root logger filters by the same level
        handler.addFilter(Traced(form))
        if form == "json":
            handler.setFormatter(_json())
    if form == "json":
        logging.captureWarnings(True)
        sys.excepthook = _log_uncaught
        threading.excepthook = lambda args: _log_uncaught(
            args.exc_type, args.exc_value, args.exc_traceback
        )


def _json() -> logging.Formatter:
    from pythonjsonlogger.core import RESERVED_ATTRS
    from pythonjsonlogger.json import JsonFormatter

    return JsonFormatter(
        ["levelname", "name", "message"],
        timestamp="time",
        rename_fields=_FIELDS,
        reserved_attrs=[*RESERVED_ATTRS, *_LEFT_OUT],
    )


def _log_uncaught(kind: type[BaseException], error: BaseException | None, where: Any) -> None:
    if error is None or issubclass(kind, KeyboardInterrupt):
        return
    log.critical("uncaught exception: %r", error, exc_info=(kind, error, where))
