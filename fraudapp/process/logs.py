"""The log: text for people, or JSON, a line each; with the request that a line belongs to."""

from __future__ import annotations

import logging
import sys
import threading
from typing import Any, Final, Literal

from fraudapp.process import traces

log = logging.getLogger(__name__)

AUDIT: Final = "fraudapp.audit"
"""The logger of what was written by whom; its lines come whatever the level of the log is."""
Format = Literal["text", "json"]

_FIELDS: Final = {"levelname": "level", "name": "logger"}
# Faust's own, for its text; some hold what is no JSON.
_LEFT_OUT: Final = ("data", "extra", "stack")


class Traced(logging.Filter):
    """Passes every line, and adds the ids of the request that it belongs to."""

    def __init__(self, form: Format) -> None:
        super().__init__()
        self._text = form == "text"

    def filter(self, record: logging.LogRecord) -> bool:
        """See `logging.Filter`."""
        trace = traces.current()
        if trace is not None and not trace.ended:
            told = {"request_id": trace.request_id, "trace_id": trace.trace_id}
            if self._text:  # which Faust adds to the end of the line
                record.__dict__["data"] = {**record.__dict__.get("data", {}), **told}
            else:
                record.__dict__.update(told, span_id=trace.span_id)
        return True


def set_up(root: logging.Logger, form: Format) -> None:
    """Let all that is logged come in this form, from whichever library."""
    logging.getLogger(AUDIT).setLevel(logging.INFO)
    for handler in root.handlers:
        handler.setLevel(logging.NOTSET)  # that of the root logger is the same
        handler.addFilter(Traced(form))
        if form == "json":
            handler.setFormatter(_json())
    if form == "json":
        logging.captureWarnings(True)
        sys.excepthook = _tell_uncaught
        threading.excepthook = lambda args: _tell_uncaught(
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


def _tell_uncaught(kind: type[BaseException], error: BaseException | None, where: Any) -> None:
    if error is None or issubclass(kind, KeyboardInterrupt):
        return
    log.critical("this ends now: %r", error, exc_info=(kind, error, where))
