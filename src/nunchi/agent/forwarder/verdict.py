"""What an answer means for what was sent: it is taken over, it can never be, or it waits.

Invariant: only a server's own word takes a payload out of the spool, that it has it or that it cannot read it. What a proxy,
a portal or a port of another kind answers in its place keeps the payload, and is told as what it is.
"""

import enum
import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from nunchi.kit.http_client import Response

REASON_CHARACTERS_MAX = 200
REASONS_MAX = 20
RETRY_AFTER_SECONDS_MAX = 300.0
UNREADABLE = frozenset({400, 422})
TOO_LARGE = 413
OWN_TYPES = frozenset({"text/plain", "application/json"})  # in which a server refuses
PAGE_BEGINNING = re.compile(r"\s*<(!doctype|html|head|body|\?xml)", re.IGNORECASE)
PAGE_TITLE = re.compile(r"<(title|h1)[^>]*>(.*?)</\1>", re.IGNORECASE | re.DOTALL)


class Fate(enum.Enum):
    """What becomes of a payload."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    KEPT = "kept"


class Answer(msgspec.Struct, frozen=True):
    """The body of an acknowledgement; what is missing counts as nothing."""

    duplicate: int = 0
    rejected: dict[str, int] = {}


@dataclass(frozen=True, slots=True)
class Verdict:
    """A payload's fate, why, and what the server wishes."""

    fate: Fate
    reason: str = ""
    retry_after_seconds: float = 0.0
    duplicate: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)


def judge(response: Response) -> Verdict:
    """What an answer means."""
    status, words = response.status, words_of_answer(response)
    reason = f"{response.url} answers {status}: {words}" if words else f"{response.url} answers {status}"
    retry_after = retry_after_seconds(response.headers.get("Retry-After", ""))
    if 200 <= status < 300:
        return acknowledgement(response.body) or Verdict(
            Fate.KEPT, f"{reason} (that is no acknowledgement: is this the server's address?)", retry_after
        )
    if status == TOO_LARGE or (status in UNREADABLE and media_type(response) in OWN_TYPES):
        return Verdict(Fate.REFUSED, reason)
    return Verdict(Fate.KEPT, reason, retry_after)


def acknowledgement(body: bytes) -> Verdict | None:
    """The verdict of a body that acknowledges; None for one that does not."""
    try:
        answer = msgspec.json.decode(body, type=Answer)
    except msgspec.MsgspecError:
        return None
    rejected = dict(sorted(answer.rejected.items())[:REASONS_MAX])
    return Verdict(Fate.ACCEPTED, duplicate=max(0, answer.duplicate), rejected=rejected)


def retry_after_seconds(header: str) -> float:
    """Seconds that a `Retry-After` of digits asks for, bounded; dates are passed over."""
    text = header.strip()
    return min(float(text), RETRY_AFTER_SECONDS_MAX) if text.isdecimal() and len(text) < 10 else 0.0


def media_type(response: Response) -> str:
    """What an answer says that its body is, without parameters; empty where it says nothing."""
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def words_of_answer(response: Response) -> str:
    """What an answer has to say, in one line: of a page the title, for its markup is nothing to read in a log."""
    text = response.body.decode(errors="replace")
    if PAGE_BEGINNING.match(text) is None:
        return " ".join(text.split())[:REASON_CHARACTERS_MAX]
    title = PAGE_TITLE.search(text)
    named = " ".join(html.unescape(re.sub(r"<[^>]*>", " ", title[2])).split())[:REASON_CHARACTERS_MAX] if title else ""
    return f'"{named}", a web page and not a server of agents' if named else "a web page and not a server of agents"
