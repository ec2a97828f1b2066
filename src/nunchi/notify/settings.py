"""`alertmanager.yml`: global values, the route tree, inhibition, receivers, time intervals, templates; checked as a whole.

Invariant: every receiver and time interval that a route names exists, and every secret has exactly one source.
"""

from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec

from nunchi.kit.http_client_settings import HttpClientSettings
from nunchi.kit.path_patterns import check_pattern
from nunchi.kit.secrets import Secret
from nunchi.kit.settings import Duration, FieldError, WithoutEffect, load
from nunchi.kit.settings.loading import read_text
from nunchi.kit.tls import TlsClientSettings
from nunchi.model.names import NameScheme
from nunchi.notify.errors import MatcherError
from nunchi.notify.matchers import make_matcher, parse_matchers
from nunchi.notify.receiver_parts import check_address, check_url, speaks_both_ways
from nunchi.notify.receiver_settings import (
    DiscordSettings,
    EmailSettings,
    IncidentioSettings,
    JiraSettings,
    MattermostSettings,
    MsteamsSettings,
    OpsgenieSettings,
    PagerdutySettings,
    PushoverSettings,
    ReceiverKindSettings,
    RocketchatSettings,
    SlackSettings,
    SnsSettings,
    TelegramSettings,
    VictoropsSettings,
    WebexSettings,
    WebhookSettings,
    WechatSettings,
)
from nunchi.notify.time_intervals import NamedIntervalsSettings

GROUP_BY_ALL = "..."
NESTING_MAX = 50
# Given twice in `global:`, these are at fault only where a receiver has none of its own, as in Alertmanager.
JUDGED_WHERE_USED = frozenset(("mattermost_webhook_url",))

_FOR_OTHERS = WithoutEffect("it is for receivers that cannot send here yet")
Text = Annotated[str, _FOR_OTHERS]
SecretText = Annotated[Secret, _FOR_OTHERS]
Switch = Annotated[bool, _FOR_OTHERS]


class GlobalSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`global:`."""

    resolve_timeout: Duration = Duration(300_000)
    http_config: HttpClientSettings = HttpClientSettings()
    smtp_from: Text = ""
    smtp_hello: Text = "localhost"
    smtp_smarthost: Text = ""
    smtp_auth_username: Text = ""
    smtp_auth_password: SecretText = Secret("")
    smtp_auth_password_file: Text = ""
    smtp_auth_secret: SecretText = Secret("")
    smtp_auth_secret_file: Text = ""
    smtp_auth_identity: Text = ""
    smtp_require_tls: Switch = True
    smtp_tls_config: Annotated[TlsClientSettings | None, _FOR_OTHERS] = None
    smtp_force_implicit_tls: Annotated[bool | None, _FOR_OTHERS] = None
    slack_api_url: SecretText = Secret("")
    slack_api_url_file: Text = ""
    slack_app_token: SecretText = Secret("")
    slack_app_token_file: Text = ""
    slack_app_url: Text = ""
    pagerduty_url: Text = ""
    opsgenie_api_url: Text = ""
    opsgenie_api_key: SecretText = Secret("")
    opsgenie_api_key_file: Text = ""
    wechat_api_url: Text = ""
    wechat_api_secret: SecretText = Secret("")
    wechat_api_secret_file: Text = ""
    wechat_api_corp_id: Text = ""
    victorops_api_url: Text = ""
    victorops_api_key: SecretText = Secret("")
    victorops_api_key_file: Text = ""
    telegram_api_url: Text = ""
    telegram_bot_token: SecretText = Secret("")
    telegram_bot_token_file: Text = ""
    webex_api_url: Text = ""
    jira_api_url: Text = ""
    rocketchat_api_url: Text = ""
    rocketchat_token: SecretText = Secret("")
    rocketchat_token_file: Text = ""
    rocketchat_token_id: SecretText = Secret("")
    rocketchat_token_id_file: Text = ""
    mattermost_webhook_url: SecretText = Secret("")
    mattermost_webhook_url_file: Text = ""

    def __post_init__(self) -> None:
        for info in msgspec.structs.fields(type(self)):
            twin = info.name.removesuffix("_file")
            if twin == info.name or twin in JUDGED_WHERE_USED:
                continue
            if getattr(self, info.name) and getattr(self, twin):
                raise FieldError(f"{twin} and {info.name} exclude each other: keep one", info.name)
        for info in msgspec.structs.fields(type(self)):
            if info.name.endswith("_url"):
                check_url(self, info.name)
        check_address(self, "smtp_smarthost")
        if speaks_both_ways(self, "slack_"):
            raise FieldError("slack_api_url and slack_app_token exclude each other: keep one", "slack_app_token")


class RouteSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One node of the route tree; None where it takes its parent's value."""

    receiver: str = ""
    group_by: tuple[str, ...] | None = None
    group_wait: Duration | None = None
    group_interval: Duration | None = None
    repeat_interval: Duration | None = None
    match: dict[str, str] = {}
    match_re: dict[str, str] = {}
    matchers: tuple[str, ...] = ()
    mute_time_intervals: tuple[str, ...] = ()
    active_time_intervals: tuple[str, ...] = ()
    continue_: bool = msgspec.field(default=False, name="continue")
    routes: tuple["RouteSettings", ...] = ()

    def __post_init__(self) -> None:
        _check_matchers(self, "match", "match_re", "matchers")
        if self.group_by is not None:
            _check_group_by(self.group_by)
        for key in ("group_interval", "repeat_interval"):
            duration: Duration | None = getattr(self, key)
            if duration is not None and not duration.ms:
                raise FieldError(f"{key} must be longer than 0s", key)


class InhibitRuleSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of `inhibit_rules:`."""

    name: str = ""
    source_match: dict[str, str] = {}
    source_match_re: dict[str, str] = {}
    source_matchers: tuple[str, ...] = ()
    target_match: dict[str, str] = {}
    target_match_re: dict[str, str] = {}
    target_matchers: tuple[str, ...] = ()
    equal: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for side in ("source", "target"):
            _check_matchers(self, f"{side}_match", f"{side}_match_re", f"{side}_matchers")
        if "" in self.equal:
            raise FieldError("a label name must not be empty", "equal", self.equal.index(""))


class ReceiverSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of `receivers:`: a name and what to send to."""

    name: str = ""
    webhook_configs: tuple[WebhookSettings, ...] = ()
    email_configs: tuple[EmailSettings, ...] = ()
    slack_configs: tuple[SlackSettings, ...] = ()
    pagerduty_configs: tuple[PagerdutySettings, ...] = ()
    opsgenie_configs: tuple[OpsgenieSettings, ...] = ()
    victorops_configs: tuple[VictoropsSettings, ...] = ()
    pushover_configs: tuple[PushoverSettings, ...] = ()
    sns_configs: tuple[SnsSettings, ...] = ()
    telegram_configs: tuple[TelegramSettings, ...] = ()
    discord_configs: tuple[DiscordSettings, ...] = ()
    msteams_configs: tuple[MsteamsSettings, ...] = ()
    msteamsv2_configs: tuple[MsteamsSettings, ...] = ()
    mattermost_configs: tuple[MattermostSettings, ...] = ()
    webex_configs: tuple[WebexSettings, ...] = ()
    wechat_configs: tuple[WechatSettings, ...] = ()
    jira_configs: tuple[JiraSettings, ...] = ()
    rocketchat_configs: tuple[RocketchatSettings, ...] = ()
    incidentio_configs: tuple[IncidentioSettings, ...] = ()

    def __post_init__(self) -> None:
        if not self.name:
            raise FieldError("the receiver has no name: give it one", "name")

    def kinds(self) -> list[tuple[str, int, ReceiverKindSettings]]:
        """(kind, index within the kind, settings), kinds in the order of the struct."""
        found: list[tuple[str, int, ReceiverKindSettings]] = []
        for info in msgspec.structs.fields(type(self)):
            if info.name.endswith("_configs"):
                entries = enumerate(getattr(self, info.name))
                found += [(info.name.removesuffix("_configs"), index, one) for index, one in entries]
        return found


class NotifySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    global_: GlobalSettings = msgspec.field(default_factory=GlobalSettings, name="global")
    route: RouteSettings | None = None
    receivers: tuple[ReceiverSettings, ...] = ()
    inhibit_rules: tuple[InhibitRuleSettings, ...] = ()
    templates: tuple[str, ...] = ()
    time_intervals: tuple[NamedIntervalsSettings, ...] = ()
    mute_time_intervals: tuple[NamedIntervalsSettings, ...] = ()
    tracing: Annotated[dict[str, Any], WithoutEffect("no traces are sent by this version")] = {}

    # (kind, its key, where `global:` has it): given in one of the two places, as text or as file.
    CREDENTIALS: ClassVar = (
        ("opsgenie", "api_key", "opsgenie_api_key"),
        ("victorops", "api_key", "victorops_api_key"),
        ("wechat", "api_secret", "wechat_api_secret"),
        ("telegram", "bot_token", "telegram_bot_token"),
        ("rocketchat", "token", "rocketchat_token"),
        ("rocketchat", "token_id", "rocketchat_token_id"),
        ("mattermost", "webhook_url", "mattermost_webhook_url"),
        ("discord", "webhook_url", ""),
        ("msteams", "webhook_url", ""),
        ("msteamsv2", "webhook_url", ""),
    )

    def __post_init__(self) -> None:
        if self.route is None:
            raise ValueError("no route: the file needs a route with a receiver")
        for place, pattern in enumerate(self.templates):
            try:
                check_pattern(pattern)
            except ValueError as error:
                raise FieldError(str(error), "templates", place) from None
        names = [receiver.name for receiver in self.receivers]
        for place, name in enumerate(names):
            if name in names[:place]:
                raise FieldError(f'two receivers are named "{name}": rename one', "receivers", place, "name")
        intervals = [one.name for one in (*self.mute_time_intervals, *self.time_intervals)]
        for name in intervals:
            if intervals.count(name) > 1:
                raise FieldError(f'two time intervals are named "{name}": rename one', "time_intervals")
        self._check_root(self.route)
        _check_route(self.route, set(names), set(intervals), ("route",))
        for place, receiver in enumerate(self.receivers):
            self._check_receiver(receiver, place)

    @staticmethod
    def _check_root(root: RouteSettings) -> None:
        if not root.receiver:
            raise FieldError("the root route needs a receiver", "route")
        for key in ("match", "match_re", "matchers", "mute_time_intervals", "active_time_intervals"):
            if getattr(root, key):
                raise FieldError(f"the root route takes every alert always: remove {key}", "route", key)
        if root.continue_:
            raise FieldError("the root route has no siblings: remove continue", "route", "continue")

    def _check_receiver(self, receiver: ReceiverSettings, place: int) -> None:
        for kind, index, settings in receiver.kinds():
            steps = ("receivers", place, f"{kind}_configs", index)
            for credential_kind, key, shared in self.CREDENTIALS:
                if credential_kind == kind:
                    self._check_credential(settings, key, shared, steps)
            if isinstance(settings, SlackSettings):
                self._check_slack(settings, steps)
            if isinstance(settings, EmailSettings):
                self._check_email(settings, steps)
            if kind == "wechat" and not (getattr(settings, "corp_id", "") or self.global_.wechat_api_corp_id):
                raise FieldError("corp_id is missing, here or as wechat_api_corp_id in global", *steps)
            if kind == "jira" and not (getattr(settings, "api_url", "") or self.global_.jira_api_url):
                raise FieldError("api_url is missing, here or as jira_api_url in global", *steps)

    def _check_credential(
        self, settings: ReceiverKindSettings, key: str, shared: str, steps: tuple[str | int, ...]
    ) -> None:
        own, own_file = getattr(settings, key), getattr(settings, f"{key}_file")
        if own and own_file:
            raise FieldError(f"{key} and {key}_file exclude each other: keep one", *steps, f"{key}_file")
        if own or own_file:
            return
        given = shared and (bool(getattr(self.global_, shared)) + bool(getattr(self.global_, f"{shared}_file")))
        if given == 2:
            raise FieldError(f"{shared} and {shared}_file exclude each other in global: keep one", *steps)
        if given:
            return
        where = f", here or as {shared} in global" if shared else ""
        raise FieldError(f"{key} or {key}_file is missing{where}", *steps)

    def _check_slack(self, settings: SlackSettings, steps: tuple[str | int, ...]) -> None:
        if settings.api_url and settings.api_url_file:
            raise FieldError("api_url and api_url_file exclude each other: keep one", *steps, "api_url_file")
        shared = self.global_
        own = settings.api_url or settings.api_url_file or settings.app_token or settings.app_token_file
        if own or shared.slack_api_url or shared.slack_api_url_file:
            return
        if not (shared.slack_app_token or shared.slack_app_token_file):
            raise FieldError("api_url or app_token is missing, here or in global", *steps)

    def _check_email(self, settings: EmailSettings, steps: tuple[str | int, ...]) -> None:
        if not (settings.smarthost or self.global_.smtp_smarthost):
            raise FieldError("smarthost is missing, here or as smtp_smarthost in global", *steps)
        if not (settings.from_ or self.global_.smtp_from):
            raise FieldError("from is missing, here or as smtp_from in global", *steps)
        for key in ("auth_password", "auth_secret"):
            if getattr(settings, key) and getattr(settings, f"{key}_file"):
                raise FieldError(f"{key} and {key}_file exclude each other: keep one", *steps, key)


def parse_notify_settings(text: str, path: str) -> NotifySettings:
    """The settings of a text; raises `SettingsError`."""
    return load(NotifySettings, text, path)


def load_notify_settings(path: Path) -> NotifySettings:
    """The settings of a file; raises `SettingsError`."""
    return parse_notify_settings(read_text(path), str(path))


def _check_matchers(settings: msgspec.Struct, equal: str, regex: str, texts: str) -> None:
    for key, operator in ((equal, "="), (regex, "=~")):
        entries: dict[str, str] = getattr(settings, key)
        for name, value in entries.items():
            if not NameScheme.LEGACY.is_label_name(name):
                cure = f"write it among {texts}, where a name may be quoted"
                raise FieldError(f'"{name}" is no label name here: {cure}', key, name)
            try:
                make_matcher(name, operator, value)
            except MatcherError as error:
                raise FieldError(str(error), key, name) from None
            if operator == "=~" and not value:
                raise FieldError(f"{name} needs a regular expression", key, name)
    for place, text in enumerate(getattr(settings, texts)):
        try:
            parse_matchers(text)
        except MatcherError as error:
            raise FieldError(str(error), texts, place) from None


def _check_group_by(names: tuple[str, ...]) -> None:
    for place, name in enumerate(names):
        if name == GROUP_BY_ALL and len(names) > 1:
            raise FieldError("'...' groups by all labels: remove the other names", "group_by", place)
        if not name:
            raise FieldError("a label name must not be empty", "group_by", place)
        if name in names[:place]:
            raise FieldError(f'"{name}" stands twice in group_by', "group_by", place)


def _check_route(route: RouteSettings, receivers: set[str], intervals: set[str], steps: tuple[str | int, ...]) -> None:
    if len(steps) > 2 * NESTING_MAX:
        raise FieldError(f"routes are nested deeper than {NESTING_MAX} levels", *steps)
    if route.receiver and route.receiver not in receivers:
        raise FieldError(f'receiver "{route.receiver}" is not defined under receivers', *steps, "receiver")
    for key in ("mute_time_intervals", "active_time_intervals"):
        for place, name in enumerate(getattr(route, key)):
            if name not in intervals:
                raise FieldError(f'time interval "{name}" is not defined under time_intervals', *steps, key, place)
    for place, child in enumerate(route.routes):
        _check_route(child, receivers, intervals, (*steps, "routes", place))
