"""Times inside JSON objects: RFC 3339 in UTC, and the year 1 for what has not happened, as Go's zero time prints."""

from datetime import UTC, datetime, timedelta

NEVER = "0001-01-01T00:00:00Z"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def format_moment(timestamp_ms: int) -> str:
    """A time in milliseconds since the epoch; 0 is never."""
    if not timestamp_ms:
        return NEVER
    moment = _EPOCH + timedelta(milliseconds=timestamp_ms)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{timestamp_ms % 1000:03d}".rstrip("0").rstrip(".") + "Z" if timestamp_ms % 1000 else f"{text}Z"
