"""The server's logs: lines of text, or one JSON object a line."""

import datetime
import json
import logging
import sys

_EXTRA = ("api", "entrypoint", "model", "version", "status", "latency_ms")


class JsonFormatter(logging.Formatter):
    """One object a record: time (RFC 3339, UTC), severity, logger, message; what belongs to a request; a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line."""
        time = datetime.datetime.fromtimestamp(record.created, datetime.timezone.utc)
        line = {
            "time": time.isoformat(timespec="milliseconds"),
            "severity": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: record.__dict__[name] for name in _EXTRA if name in record.__dict__}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure_logs(log_format: str, *, requests: bool) -> None:
    """Sends all logs to standard error.

    Args:
        log_format: "text" or "json".
        requests: Whether each request is logged.
    """
    handler = logging.StreamHandler(sys.stderr)
    if log_format == "json":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    # No second handler where there is one: what calls this may have its own.
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(handler)
        root.setLevel(logging.INFO)
    logging.getLogger("serving.requests").setLevel(logging.DEBUG if requests else logging.NOTSET)
