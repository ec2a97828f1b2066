"""alertmanager.yml: what is accepted, and where faults are said to be."""

import pytest
from tests.peers import conformance

from nunchi.kit.settings import SettingsError, dump
from nunchi.notify.settings import load_notify_settings, parse_notify_settings

# By the names of the files and by what they hold; the names alone do not tell. Not all of them need to be there.
GOOD = {
    "conf.empty-fields.yml",
    "conf.good.yml",
    "conf.group-by-all.yml",
    "conf.mattermost-default-webhook-url-file.yml",
    "conf.mattermost-default-webhook-url.yml",
    "conf.mattermost-valid-receiver-both-webhook-url-and-file.yml",
    "conf.opsgenie-default-apikey-file.yml",
    "conf.opsgenie-default-apikey.yml",
    "conf.rocketchat-default-token-file.yml",
    "conf.rocketchat-default-token.yml",
    "conf.routing.yml",
    "conf.slack-default-api-url-file.yml",
    "conf.slack-default-app-token-file.yml",
    "conf.slack-default-app-token.yml",
    "conf.slack-update-message.yml",
    "conf.smtp-no-username-or-password.yml",
    "conf.smtp-password-global-and-local.yml",
    "conf.sns-topic-arn.yml",
    "conf.telegram-default-bot-token-file.yml",
    "conf.telegram-default-bot-token.yml",
    "conf.victorops-default-apikey-file.yml",
    "conf.victorops-default-apikey.yml",
    "conf.wechat-default-api-secret-file.yml",
    "conf.wechat-default-api-secret.yml",
}
RECEIVERS = 'receivers: [{name: a, webhook_configs: [{url: "http://user:secret@127.0.0.1/x"}]}]\n'

FAULTS = [
    ("route: {receiver: b}\n" + RECEIVERS, "1:19", 'receiver "b" is not defined'),
    ("route: {receiver: a, group_by: [x, x]}\n" + RECEIVERS, "1:36", "stands twice"),
    ("route: {receiver: a, group_by: ['...', x]}\n" + RECEIVERS, "1:33", "all labels"),
    ("route: {receiver: a, matchers: [a=b]}\n" + RECEIVERS, "1:32", "remove matchers"),
    ("route: {receiver: a, routes: [{matchers: ['a=~(']}]}\n" + RECEIVERS, "1:43", "regular expression"),
    ("route: {receiver: a, routes: [{mute_time_intervals: [x]}]}\n" + RECEIVERS, "1:54", "not defined"),
    ("route: {receiver: a, group_interval: 0s}\n" + RECEIVERS, "1:38", "longer than 0s"),
    ("route: {receiver: a, group_intervall: 1m}\n" + RECEIVERS, "1:22", 'did you mean "group_interval"'),
    ("route: {receiver: a}\nreceivers: [{name: a}, {name: a}]", "2:31", "rename one"),
    ("route: {receiver: a}\nreceivers: [{name: a, webhook_configs: [{}]}]", "2:41", "is missing"),
    ("route: {receiver: a}\nreceivers: [{name: a, webhook_configs: [{url: x}]}]", "2:47", "not a URL"),
    (RECEIVERS, "1:1", "no route"),
    (
        "route: {receiver: a}\n" + RECEIVERS
        + "time_intervals: [{name: x, time_intervals: [{times: [{start_time: '18:00', end_time: '08:00'}]}]}]",
        "3:86",
        "must be before",
    ),
]  # fmt: skip


RECEIVER = "route: {receiver: a}\nreceivers: [{name: a, %s_configs: [%s]}]"

# (kind, what it says, what is wrong); each is refused by amtool, too.
MISFITS = [
    ("slack", "{api_url: x}", "not a URL"),
    ("slack", "{api_url: 'http://x', app_token: y}", "api_url and app_token exclude each other"),
    ("slack", "{api_url: 'http://x', actions: [{type: button}]}", "text is missing"),
    ("slack", "{api_url: 'http://x', actions: [{type: button, text: x}]}", "one of url and name is missing"),
    ("slack", "{api_url: 'http://x', actions: [{type: b, text: x, url: y, confirm: {}}]}", "text is missing"),
    ("slack", "{api_url: 'http://x', fields: [{title: x}]}", "value is missing"),
    ("email", "{to: a@b, from: c@d, smarthost: mail}", '"mail" has no port'),
    ("pagerduty", "{routing_key: x, routing_key_file: y}", "exclude each other"),
    ("opsgenie", "{api_key: x, responders: [{id: a, type: crowd}]}", "type is team, teams, user"),
    ("opsgenie", "{api_key: x, responders: [{id: a, type: '{{ .x'}]}", "type is no template"),
    ("victorops", "{api_key: x, routing_key: r, custom_fields: {entity_id: a}}", "entity_id is a field of every alert"),
    ("sns", "{topic_arn: a, sigv4: {access_key: x}}", "belong together"),
    ("telegram", "{bot_token: x, chat_id: 0}", "chat_id is missing"),
    ("discord", "{webhook_url: x}", "not a URL"),
    ("webex", "{room_id: a}", "authorization is missing"),
    ("jira", "{api_url: x, project: p, issue_type: t}", "not a URL"),
]


@pytest.mark.parametrize(("kind", "text", "reason"), MISFITS, ids=[f"{one[0]} {one[1]}" for one in MISFITS])
def test_receivers_that_cannot_work_are_refused(kind, text, reason):
    with pytest.raises(SettingsError) as caught:
        parse_notify_settings(RECEIVER % (kind, text), "am.yml")
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("global: {slack_api_url: x}", "not a URL"),
        ("global: {smtp_smarthost: mail}", "has no port"),
        ("global: {slack_api_url: 'http://x', slack_app_token: y}", "exclude each other"),
        ("inhibit_rules: [{source_match: {a-b: c}}]", '"a-b" is no label name here: write it among source_matchers'),
        ("inhibit_rules: [{equal: ['']}]", "must not be empty"),
        ("time_intervals: [{name: x, time_intervals: [{times: [{start_time: '8:00', end_time: '9:00'}]}]}]", "HH:MM"),
        (
            "time_intervals: [{name: x, time_intervals: [{days_of_month: ['15:-20']}]}]",
            "in a short month this ends before",
        ),
    ],
)
def test_the_rest_of_the_file_is_judged_as_strictly(text, reason):
    with pytest.raises(SettingsError) as caught:
        parse_notify_settings("route: {receiver: a}\n" + RECEIVERS + text, "am.yml")
    assert reason in str(caught.value)


def test_slack_s_webhook_may_be_the_application_s_address():
    text = "{api_url: 'https://slack.com/api/chat.postMessage', app_token: x, channel: c}"
    parse_notify_settings(RECEIVER % ("slack", text), "am.yml")


def test_public_files_are_accepted_and_refused():
    for path in sorted(conformance("alertmanager-config").iterdir()):
        if path.name in GOOD:
            load_notify_settings(path)
        else:
            with pytest.raises(SettingsError, match=path.name):
                load_notify_settings(path)


@pytest.mark.parametrize(("text", "place", "reason"), FAULTS, ids=[reason for _, _, reason in FAULTS])
def test_errors_stand_at_their_place(text, place, reason):
    with pytest.raises(SettingsError) as caught:
        parse_notify_settings(text, "am.yml")
    assert str(caught.value).startswith(f"am.yml:{place}: "), str(caught.value)
    assert reason in str(caught.value)


def test_secrets_do_not_show_in_dumps():
    settings = parse_notify_settings("route: {receiver: a}\n" + RECEIVERS, "am.yml")
    assert "secret@" not in dump(settings)
    assert settings.receivers[0].webhook_configs[0].url.reveal().startswith("http://user:secret@")


def test_kinds_that_cannot_send_here_are_refused_when_applied(tmp_path):
    from tests.notify.station import Station

    from nunchi.notify.errors import NotifySettingsError

    with pytest.raises(NotifySettingsError, match="discord_configs is not available"):
        Station().apply(
            "route: {receiver: a}\nreceivers: [{name: a, discord_configs: [{webhook_url: 'http://127.0.0.1/'}]}]"
        )
