"""What every kind of receiver takes in `receivers:`, under Alertmanager's names.

Shapes of kinds that cannot send here yet are checked too, so that a file that Alertmanager refuses is refused here.
Invariant: a secret is given once, as text or as file, here or in `global:`.
"""

from typing import Any

import msgspec

from nunchi.kit.http_client_settings import HttpClientSettings
from nunchi.kit.secrets import Secret
from nunchi.kit.settings import Duration, FieldError
from nunchi.kit.sigv4_settings import Sigv4Settings
from nunchi.kit.tls import TlsClientSettings
from nunchi.notify.receiver_parts import (
    VICTOROPS_FIELDS,
    OpsgenieResponder,
    SlackAction,
    SlackField,
    check_address,
    check_either,
    check_url,
    require_fields,
    speaks_both_ways,
)


class ReceiverKindSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What all kinds have."""

    send_resolved: bool | None = None
    http_config: HttpClientSettings | None = None


class WebhookSettings(ReceiverKindSettings, frozen=True, forbid_unknown_fields=True):
    """`webhook_configs`."""

    url: Secret = Secret("")
    url_file: str = ""
    max_alerts: int = 0
    timeout: Duration | None = None

    def __post_init__(self) -> None:
        if bool(self.url) == bool(self.url_file):
            what = "url and url_file exclude each other: keep one" if self.url else "one of url or url_file is missing"
            raise FieldError(what, "url_file" if self.url else "")
        check_url(self, "url")
        if self.max_alerts < 0:
            raise FieldError("max_alerts must not be negative: 0 means all", "max_alerts")


class EmailSettings(ReceiverKindSettings, frozen=True, forbid_unknown_fields=True):
    """`email_configs`."""

    to: str = ""
    from_: str = msgspec.field(default="", name="from")
    hello: str = ""
    smarthost: str = ""
    auth_username: str = ""
    auth_password: Secret = Secret("")
    auth_password_file: str = ""
    auth_secret: Secret = Secret("")
    auth_secret_file: str = ""
    auth_identity: str = ""
    headers: dict[str, str] = {}
    html: str = ""
    text: str = ""
    require_tls: bool | None = None
    force_implicit_tls: bool | None = None
    tls_config: TlsClientSettings | None = None
    threading: dict[str, Any] = {}

    def __post_init__(self) -> None:
        if not self.to:
            raise FieldError("to is missing: say who gets the mail", "to")
        check_address(self, "smarthost")
        seen: set[str] = set()
        for name in self.headers:
            if name.title() in seen:
                raise FieldError(f'header "{name}" is given twice', "headers", name)
            seen.add(name.title())


class SlackSettings(ReceiverKindSettings, frozen=True, forbid_unknown_fields=True):
    """`slack_configs`."""

    api_url: Secret = Secret("")
    api_url_file: str = ""
    app_token: Secret = Secret("")
    app_token_file: str = ""
    app_url: str = ""
    channel: str = ""
    username: str = ""
    color: str = ""
    title: str = ""
    title_link: str = ""
    pretext: str = ""
    text: str = ""
    message_text: str = ""
    fields: list[SlackField] = []
    short_fields: bool = False
    footer: str = ""
    fallback: str = ""
    callback_id: str = ""
    icon_emoji: str = ""
    icon_url: str = ""
    image_url: str = ""
    thumb_url: str = ""
    link_names: bool = False
    mrkdwn_in: list[str] = []
    actions: list[SlackAction] = []
    timeout: Duration | None = None
    update_message: bool = False

    def __post_init__(self) -> None:
        check_url(self, "api_url")
        check_either(self, "app_token")
        if speaks_both_ways(self, ""):
            raise FieldError("api_url and app_token exclude each other: keep one", "app_token")
        if self.update_message and (self.api_url or self.api_url_file):
            raise FieldError("update_message needs app_token: a webhook cannot change messages", "update_message")


class PagerdutySettings(ReceiverKindSettings, frozen=True, forbid_unknown_fields=True):
    """`pagerduty_configs`."""

    service_key: Secret = Secret("")
    service_key_file: str = ""
    routing_key: Secret = Secret("")
    routing_key_file: str = ""
    url: str = ""
    client: str = ""
    client_url: str = ""
    description: str = ""
    details: dict[str, Any] = {}
    images: list[dict[str, str]] = []
    links: list[dict[str, str]] = []
    source: str = ""
    severity: str = ""
    class_: str = msgspec.field(default="", name="class")
    component: str = ""
    group: str = ""
    timeout: Duration | None = None

    def __post_init__(self) -> None:
        if not (self.service_key or self.service_key_file or self.routing_key or self.routing_key_file):
            raise ValueError("one of routing_key, routing_key_file, service_key or service_key_file is missing")
        check_either(self, "service_key", "routing_key")
        check_url(self, "url")


class OpsgenieSettings(ReceiverKindSettings, frozen=True, forbid_unknown_fields=True):
    """`opsgenie_configs`."""

    api_key: Secret = Secret("")
    api_key_file: str = ""
    api_url: str = ""
    message: str = ""
    description: str = ""
    source: str = ""
    details: dict[str, str] = {}
    entity: str = ""
    responders: list[OpsgenieResponder] = []
    actions: str = ""
    tags: str = ""
    note: str = ""
    priority: str = ""
    update_alerts: bool = False

    def __post_init__(self) -> None:
        check_url(self, "api_url")


class VictoropsSettings(ReceiverKindSettings, frozen=True, forbid_unknown_fields=True):
    """`victorops_configs`."""

    api_key: Secret = Secret("")
    api_key_file: str = ""
    api_url: str = ""
    routing_key: str = ""
    message_type: str = ""
    state_message: str = ""
    entity_display_name: str = ""
    monitoring_tool: str = ""
    custom_fields: dict[str, str] = {}

    def __post_init__(self) -> None:
        require_fields(self, "routing_key")
        check_url(self, "api_url")
        for name in self.custom_fields:
            if name in VICTOROPS_FIELDS:
                raise FieldError(f"{name} is a field of every alert: name your own otherwise", "custom_fields", name)


class PushoverSettings(ReceiverKindSettings, frozen=True, forbid_unknown_fields=True):
    """`pushover_configs`."""

    user_key: Secret = Secret("")
    user_key_file: str = ""
    token: Secret = Secret("")
    token_file: str = ""
    title: str = ""
    message: str = ""
    url: str = ""
    url_title: str = ""
    device: str = ""
    sound: str = ""
    priority: str = ""
    retry: Duration | None = None
    expire: Duration | None = None
    ttl: Duration | None = None
    html: bool = False
    monospace: bool = False

    def __post_init__(self) -> None:
        for key in ("user_key", "token"):
            if bool(getattr(self, key)) == bool(getattr(self, f"{key}_file")):
                raise FieldError(f"exactly one of {key} and {key}_file must be given", key)
        if self.html and self.monospace:
            raise FieldError("html and monospace exclude each other: keep one", "monospace")


class SnsSettings(ReceiverKindSettings, frozen=True, forbid_unknown_fields=True):
    """`sns_configs`."""

    api_url: str = ""
    sigv4: Sigv4Settings = Sigv4Settings()
    topic_arn: str = ""
    phone_number: str = ""
    target_arn: str = ""
    subject: str = ""
    message: str = ""
    attributes: dict[str, str] = {}

    def __post_init__(self) -> None:
        if bool(self.topic_arn) + bool(self.phone_number) + bool(self.target_arn) != 1:
            raise ValueError("exactly one of topic_arn, phone_number and target_arn must be given")


class TelegramSettings(ReceiverKindSettings, frozen=True, forbid_unknown_fields=True):
    """`telegram_configs`."""

    api_url: str = ""
    bot_token: Secret = Secret("")
    bot_token_file: str = ""
    chat_id: int | None = None
    chat_id_file: str = ""
    message_thread_id: int = 0
    message: str = ""
    disable_notifications: bool = False
    parse_mode: str = "HTML"

    def __post_init__(self) -> None:
        if not self.chat_id and not self.chat_id_file:
            raise FieldError("chat_id is missing: add it", "chat_id")
        check_url(self, "api_url")
        if self.parse_mode not in ("", "Markdown", "MarkdownV2", "HTML"):
            raise FieldError("parse_mode is one of Markdown, MarkdownV2, HTML, or empty", "parse_mode")


class UrlReceiverSettings(ReceiverKindSettings, frozen=True, forbid_unknown_fields=True):
    """What the kinds with a secret `webhook_url` share."""

    webhook_url: Secret = Secret("")
    webhook_url_file: str = ""

    def __post_init__(self) -> None:
        check_url(self, "webhook_url")


class DiscordSettings(UrlReceiverSettings, frozen=True, forbid_unknown_fields=True):
    """`discord_configs`."""

    title: str = ""
    message: str = ""
    content: str = ""
    username: str = ""
    avatar_url: str = ""


class MsteamsSettings(UrlReceiverSettings, frozen=True, forbid_unknown_fields=True):
    """`msteams_configs` and `msteamsv2_configs`."""

    title: str = ""
    summary: str = ""
    text: str = ""


class MattermostSettings(UrlReceiverSettings, frozen=True, forbid_unknown_fields=True):
    """`mattermost_configs`."""

    channel: str = ""
    username: str = ""
    text: str = ""
    icon_url: str = ""
    icon_emoji: str = ""
    fallback: str = ""
    color: str = ""
    pretext: str = ""
    author_name: str = ""
    author_link: str = ""
    author_icon: str = ""
    title: str = ""
    title_link: str = ""
    fields: list[dict[str, Any]] = []
    thumb_url: str = ""
    footer: str = ""
    footer_icon: str = ""
    image_url: str = ""
    attachments: list[dict[str, Any]] = []
    props: dict[str, Any] = {}
    priority: dict[str, Any] = {}


class WebexSettings(ReceiverKindSettings, frozen=True, forbid_unknown_fields=True):
    """`webex_configs`."""

    api_url: str = ""
    message: str = ""
    room_id: str = ""

    def __post_init__(self) -> None:
        require_fields(self, "room_id")
        check_url(self, "api_url")
        if self.http_config is None or not (self.http_config.authorization or self.http_config.bearer_token):
            raise FieldError("authorization is missing: Webex takes a token as its credentials", "http_config")


class WechatSettings(ReceiverKindSettings, frozen=True, forbid_unknown_fields=True):
    """`wechat_configs`."""

    api_secret: Secret = Secret("")
    api_secret_file: str = ""
    corp_id: str = ""
    message: str = ""
    api_url: str = ""
    to_user: str = ""
    to_party: str = ""
    to_tag: str = ""
    agent_id: str = ""
    message_type: str = "text"

    def __post_init__(self) -> None:
        if self.message_type not in ("", "text", "markdown"):
            raise FieldError("message_type is text or markdown", "message_type")
        check_url(self, "api_url")


class JiraSettings(ReceiverKindSettings, frozen=True, forbid_unknown_fields=True):
    """`jira_configs`."""

    api_url: str = ""
    api_type: str = "auto"
    project: str = ""
    summary: str | dict[str, Any] = ""
    description: str | dict[str, Any] = ""
    labels: list[str] = []
    priority: str = ""
    issue_type: str = ""
    reopen_transition: str = ""
    resolve_transition: str = ""
    wont_fix_resolution: str = ""
    reopen_duration: Duration | None = None
    fields: dict[str, Any] = {}

    def __post_init__(self) -> None:
        require_fields(self, "project", "issue_type")
        check_url(self, "api_url")


class RocketchatSettings(ReceiverKindSettings, frozen=True, forbid_unknown_fields=True):
    """`rocketchat_configs`."""

    api_url: str = ""
    token_id: Secret = Secret("")
    token_id_file: str = ""
    token: Secret = Secret("")
    token_file: str = ""
    channel: str = ""
    color: str = ""
    title: str = ""
    title_link: str = ""
    text: str = ""
    fields: list[dict[str, Any]] = []
    short_fields: bool = False
    emoji: str = ""
    icon_url: str = ""
    image_url: str = ""
    thumb_url: str = ""
    link_names: bool = False
    actions: list[dict[str, Any]] = []

    def __post_init__(self) -> None:
        check_url(self, "api_url")


class IncidentioSettings(ReceiverKindSettings, frozen=True, forbid_unknown_fields=True):
    """`incidentio_configs`."""

    url: Secret = Secret("")
    url_file: str = ""
    alert_source_token: Secret = Secret("")
    alert_source_token_file: str = ""
    max_alerts: int = 0
    timeout: Duration | None = None

    def __post_init__(self) -> None:
        if bool(self.url) == bool(self.url_file):
            raise FieldError("exactly one of url and url_file must be given", "url")
