"""Parts of receivers' settings that several kinds share or that have a shape of their own; each judged as Alertmanager does.

Invariant: a check names the field at fault, and says what to write.
"""

import re
from typing import Final

import msgspec

from nunchi.kit.secrets import Secret, Url
from nunchi.kit.settings import FieldError
from nunchi.kit.template.errors import TemplateParseError
from nunchi.kit.template.library import LIBRARY
from nunchi.kit.template.parser import parse

SLACK_APPLICATION: Final = "https://slack.com/api/chat.postMessage"
VICTOROPS_FIELDS = frozenset(
    (
        *("routing_key", "message_type", "state_message", "entity_display_name"),
        *("monitoring_tool", "entity_id", "entity_state"),
    )
)
_RESPONDERS = re.compile(r"(?i)(team|teams|user|escalation|schedule)")


def check_url(settings: msgspec.Struct, key: str) -> None:
    """A field that is an http(s) URL where it is given."""
    value: str | Secret = getattr(settings, key)
    text = value.reveal() if isinstance(value, Secret) else value
    if not text:
        return
    try:
        Url.parse(text)
    except ValueError:
        raise FieldError("not a URL: write it in full, as in http://host:8080/path", key) from None


def check_either(settings: msgspec.Struct, *keys: str) -> None:
    """A value is given as text or as file, not both ways."""
    for key in keys:
        if getattr(settings, key) and getattr(settings, f"{key}_file"):
            raise FieldError(f"{key} and {key}_file exclude each other: keep one", f"{key}_file")


def check_address(settings: msgspec.Struct, key: str) -> None:
    """A field that is `host:port` where it is given."""
    text: str = getattr(settings, key)
    if text and not text.rpartition(":")[2].strip("]"):
        raise FieldError(f'"{text}" has no port: write host:port', key)
    if text and ":" not in text:
        raise FieldError(f'"{text}" has no port: write host:port', key)


def speaks_both_ways(settings: msgspec.Struct, prefix: str) -> bool:
    """Whether Slack's webhook and an application's token are both given, and are not both for the application's address."""
    webhook: Secret = getattr(settings, f"{prefix}api_url")
    address: str = getattr(settings, f"{prefix}app_url") or SLACK_APPLICATION
    token = getattr(settings, f"{prefix}app_token") or getattr(settings, f"{prefix}app_token_file")
    return bool(token) and (bool(getattr(settings, f"{prefix}api_url_file")) or webhook.reveal() not in {"", address})


def require_fields(settings: msgspec.Struct, *keys: str) -> None:
    """These fields must not be empty."""
    for key in keys:
        if not getattr(settings, key):
            raise FieldError(f"{key} is missing: add it", key)


class SlackConfirmation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What Slack asks before it acts."""

    text: str = ""
    title: str = ""
    ok_text: str = ""
    dismiss_text: str = ""

    def __post_init__(self) -> None:
        require_fields(self, "text")


class SlackAction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A button below a message: it opens a URL, or has a name by which an application knows it."""

    type: str = ""
    text: str = ""
    url: str = ""
    style: str = ""
    name: str = ""
    value: str = ""
    confirm: SlackConfirmation | None = None

    def __post_init__(self) -> None:
        require_fields(self, "type", "text")
        if not (self.url or self.name):
            raise FieldError("one of url and name is missing: add one", "url")


class SlackField(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A title with a value."""

    title: str = ""
    value: str = ""
    short: bool | None = None

    def __post_init__(self) -> None:
        require_fields(self, "title", "value")


class OpsgenieResponder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who takes an alert; its type may be a template."""

    id: str = ""
    name: str = ""
    username: str = ""
    type: str = ""

    def __post_init__(self) -> None:
        if not (self.id or self.name or self.username):
            raise FieldError("a responder needs one of id, name or username")
        if "{{" in self.type:
            try:
                parse("type", self.type, LIBRARY)
            except TemplateParseError as error:
                raise FieldError(f"type is no template: {error}", "type") from None
        elif not _RESPONDERS.fullmatch(self.type):
            raise FieldError("type is team, teams, user, escalation or schedule", "type")
