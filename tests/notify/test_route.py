"""Where alerts go."""

import pytest

from nunchi.model.labels import Labels
from nunchi.notify.route import build_routes
from nunchi.notify.settings import parse_notify_settings

TREE = """
route:
  receiver: default
  group_by: [alertname, cluster]
  group_wait: 10s
  routes:
    - match: {owner: team-A}
      receiver: A
      routes:
        - match: {env: testing}
          receiver: A-testing
          group_by: [...]
        - match_re: {env: "prod.*"}
          receiver: A-production
          group_wait: 1m
          continue: true
        - matchers: ['env="production"']
          receiver: A-audit
          group_by: []
    - matchers: ['owner=~"team-(B|C)"']
      group_interval: 1m
      receiver: BC
receivers: [{name: default}, {name: A}, {name: A-testing}, {name: A-production}, {name: A-audit}, {name: BC}]
"""


@pytest.fixture(scope="module")
def routes():
    settings = parse_notify_settings(TREE, "am.yml")
    return build_routes(settings.route)


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ({"owner": "team-X"}, ["default"]),
        ({}, ["default"]),
        ({"owner": "team-A"}, ["A"]),
        ({"owner": "team-A", "env": "testing"}, ["A-testing"]),
        ({"owner": "team-A", "env": "production"}, ["A-production", "A-audit"]),
        ({"owner": "team-A", "env": "prod-2"}, ["A-production"]),
        ({"owner": "team-C"}, ["BC"]),
        ({"owner": "team-BC"}, ["default"]),
    ],
)
def test_alerts_take_the_deepest_routes(routes, labels, receivers):
    assert [route.options.receiver for route in routes.match(Labels(labels))] == receivers


def test_options_are_inherited_except_mute_times(routes):
    by_receiver = {route.options.receiver: route.options for route in routes.walk()}
    assert by_receiver["A-testing"].group_by is None
    assert by_receiver["A-testing"].group_wait_ms == 10_000
    assert by_receiver["A-production"].group_wait_ms == 60_000
    assert by_receiver["A-audit"].group_by == frozenset()
    assert by_receiver["BC"].group_by == {"alertname", "cluster"}
    assert by_receiver["BC"].group_interval_ms == 60_000
    assert by_receiver["default"].repeat_interval_ms == 4 * 3_600_000


def test_keys_tell_the_way_and_ids_are_unique(routes):
    keys = {route.options.receiver: route.key for route in routes.walk()}
    assert keys["default"] == "{}"
    assert keys["A-production"] == '{}/{owner="team-A"}/{env=~"^(?:prod.*)$"}'
    ids = [route.id for route in routes.walk()]
    assert len(set(ids)) == len(ids)


def test_group_labels_follow_group_by(routes):
    labels = Labels.of(alertname="x", cluster="c", owner="team-A", env="testing", other="o")
    [testing] = routes.match(labels)
    assert testing.group_labels(labels) == labels
    [default] = routes.match(labels.merge({"owner": "nobody"}))
    assert default.group_labels(labels) == Labels.of(alertname="x", cluster="c")
