"""alertmanager.yml: what is accepted, and where faults are said to be."""

import pytest
from tests.peers import conformance

from nunchi.kit.settings import SettingsError, dump
from nunchi.notify.settings import load_notify_settings, parse_notify_settings

# By the names of the files and by what they hold; the names alone do not tell.
GOOD = {
    "conf.group-by-all.yml",
    "conf.mattermost-default-webhook-url-file.yml",
    "conf.mattermost-default-webhook-url.yml",
    "conf.mattermost-valid-receiver-both-webhook-url-and-file.yml",
    "conf.opsgenie-default-apikey-file.yml",
    "conf.routing.yml",
    "conf.slack-default-api-url-file.yml",
    "conf.slack-default-app-token.yml",
    "conf.smtp-password-global-and-local.yml",
    "conf.telegram-default-bot-token-file.yml",
    "conf.telegram-default-bot-token.yml",
    "conf.victorops-default-apikey-file.yml",
    "conf.victorops-default-apikey.yml",
    "conf.wechat-default-api-secret-file.yml",
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
