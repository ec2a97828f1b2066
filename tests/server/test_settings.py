"""Prometheus's configuration file as a whole: what its parts, which do not know each other, must agree on."""

from pathlib import Path

import pytest

from nunchi.kit.settings import SettingsError
from nunchi.notify.alertmanager_settings import AlertmanagerGroup
from nunchi.server.settings import parse_configuration

ALERTING = """
alerting:
  alertmanagers:
  - {scheme: https, path_prefix: /am, timeout: 3s, basic_auth: {username: u}, static_configs: [{targets: [a], labels: {x: y}}]}
"""


def test_alertmanagers_are_handed_to_sending_with_all_that_the_file_says() -> None:
    [one] = parse_configuration(ALERTING, Path("p.yml"), {}).settings.alerting.resolved()
    assert one.http.basic_auth is not None
    assert one.http.basic_auth.username == "u"
    assert (one.scheme, one.path_prefix, one.timeout_seconds) == ("https", "/am", 3.0)
    assert one.groups == (AlertmanagerGroup(("a",), {"x": "y"}),)


@pytest.mark.parametrize(
    "entry", ["api_version: v1", "static_configs: [{targets: ['http://a/']}]", "scheme: ftp", "timeot: 5s"]
)
def test_a_broken_entry_of_alertmanagers_is_refused(entry: str) -> None:
    with pytest.raises(SettingsError, match=r"p.yml:1:"):
        parse_configuration(f"alerting: {{alertmanagers: [{{{entry}}}]}}", Path("p.yml"), {})


@pytest.mark.parametrize("key", ["rule_files", "scrape_config_files"])
@pytest.mark.parametrize(
    ("pattern", "fault"),
    [("[", "close its bracket"), ("a/*/b.yml", "only in the last part"), ("rules/[a.yml", "close")],
)
def test_a_malformed_pattern_of_files_is_refused_at_its_place(
    key: str, pattern: str, fault: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=rf"prometheus.yml:2:4: .*{fault}"):
        parse_configuration(f'{key}:\n - "{pattern}"\n', tmp_path / "prometheus.yml", {})


URL_TARGETS = "static_configs: [{targets: ['http://node/metrics']}]"
RELABELLED = URL_TARGETS + ", relabel_configs: [{target_label: __address__, replacement: 'prober:9115'}]"


@pytest.mark.parametrize("section", ["scrape_configs: [{job_name: j, %s}]", "alerting: {alertmanagers: [{%s}]}"])
def test_targets_may_be_urls_where_relabelling_can_make_addresses_of_them(section: str) -> None:
    parse_configuration(section % RELABELLED, Path("p.yml"), {})
    with pytest.raises(SettingsError, match=r'"http://node/metrics" is not a valid hostname'):
        parse_configuration(section % URL_TARGETS, Path("p.yml"), {})


UUID = "11111111-1111-1111-1111-111111111111"
SCALEWAY = "scrape_configs: [{job_name: j, scaleway_sd_configs: [{role: instance, %s}]}]"
AZURE = "remote_write: [{url: 'http://x', azuread: %s}]"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('global: {external_labels: {!!binary "/w==": x}}', "1:28: a key must be text"),
        (
            "alerting: {alertmanagers: [{sigv4: {region: a}, basic_auth: {username: b}}]}",
            "basic_auth and sigv4 exclude",
        ),
        ("remote_write: [{url: ':x'}]", '":x" is not a URL'),
        ("remote_read: [{url: 'http://a b/read'}]", '"http://a b/read" is not a URL'),
        ("scrape_configs: [{job_name: j, http_sd_configs: [{url: 'http://a b'}]}]", '"http://a b" is not a URL'),
        (SCALEWAY % f"project_id: a, access_key: SCW{'X' * 17}, secret_key: {UUID}", "project_id is a UUID"),
        (SCALEWAY % f"project_id: {UUID}, access_key: x, secret_key: {UUID}", "access_key begins with SCW"),
        (SCALEWAY % f"project_id: {UUID}, access_key: SCW{'X' * 17}, secret_key: x", "secret_key is a UUID"),
        (SCALEWAY % f"project_id: {UUID}, access_key: SCW{'X' * 17}, secret_key_file: x, zone: y", '"y" is no zone'),
        (AZURE % "{}", "none of managed_identity, oauth, sdk, workload_identity is given"),
        (AZURE % "{managed_identity: {client_id: x}}", '"x" is no client id'),
        (AZURE % f"{{oauth: {{client_id: {UUID}, tenant_id: t}}}}", "client_secret is missing"),
        (AZURE % f"{{oauth: {{client_id: {UUID}, client_secret: s, tenant_id: 'a b'}}}}", '"a b" is no tenant id'),
        (AZURE % "{sdk: {}, managed_identity: {}}", "managed_identity and sdk exclude each other"),
        (AZURE % "{sdk: {}, cloud: Mine}", '"Mine" is not known'),
        (AZURE % f"{{workload_identity: {{client_id: {UUID}}}}}", '"" is no tenant id'),
        (AZURE % "{sdk: {}, scope: 'a;b'}", "scope has characters"),
    ],
)
def test_what_prometheus_refuses_in_clouds_and_addresses_is_refused(text: str, reason: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_configuration(text, Path("p.yml"), {})
    assert reason in str(caught.value)


def test_azure_is_asked_in_one_way() -> None:
    for way in ("managed_identity: {}", f"oauth: {{client_id: {UUID}, client_secret: s, tenant_id: t.x}}", "sdk: {}"):
        parse_configuration(AZURE % f"{{cloud: AzureChina, scope: 'https://x/.default', {way}}}", Path("p.yml"), {})
