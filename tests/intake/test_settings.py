from pathlib import Path

import msgspec
import pytest

from nunchi.intake.discovery.file import FileSettings, read_groups
from nunchi.intake.mechanisms import RUNNING, SUFFIX, DiscoverySettings, UnsupportedSettingsError
from nunchi.intake.scrape.interpretation import HistogramRules
from nunchi.intake.scrape.pool import PoolSettings
from nunchi.intake.scrape.settings import GlobalSettings, JobSettings, ScrapeFeatures, check_jobs, resolve_job
from nunchi.intake.sections import (
    OtlpSettings,
    RemoteReadSettings,
    RemoteWriteSettings,
    check_distinct_names,
    refuse_unsupported_sections,
)
from nunchi.kit.errors import InputError
from nunchi.kit.settings import SettingsError, dump, load
from nunchi.kit.sizes import Size
from nunchi.model.names import NameScheme
from nunchi.wire.exposition import ExpositionFormat

FIXTURES = Path(__file__).resolve().parents[2].parent / "shared" / "conformance" / "discovery" / "file"


class Root(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The sections of intake."""

    common: GlobalSettings = msgspec.field(default=GlobalSettings(), name="global")
    scrape_configs: tuple[JobSettings, ...] = ()
    remote_write: tuple[RemoteWriteSettings, ...] = ()
    remote_read: tuple[RemoteReadSettings, ...] = ()
    otlp: OtlpSettings = OtlpSettings()

    def __post_init__(self) -> None:
        check_jobs(self.common, self.scrape_configs)
        check_distinct_names("remote_write", self.remote_write)


def resolved(text: str) -> PoolSettings:
    root = load(Root, text, "test.yml")
    return resolve_job(root.common, root.scrape_configs[0], Path("/etc/x"))


def test_a_job_without_words_has_prometheuss_defaults() -> None:
    pool = resolved("scrape_configs: [{job_name: a}]")
    assert (pool.defaults.interval_ms, pool.defaults.timeout_ms) == (60_000, 10_000)
    assert (pool.defaults.scheme, pool.defaults.metrics_path) == ("http", "/metrics")
    assert pool.rules.honor_timestamps
    assert not pool.rules.honor_labels
    assert pool.rules.scheme is NameScheme.UTF8
    assert pool.fetch.is_compressed
    assert pool.fetch.escaping == "allow-utf-8"
    assert pool.fetch.folder == Path("/etc/x")


@pytest.mark.parametrize(
    ("common", "job", "interval_ms", "timeout_ms"),
    [
        ("", "scrape_interval: 5s", 5000, 5000),
        ("scrape_interval: 15s", "", 15_000, 10_000),
        ("scrape_interval: 5s", "", 5000, 5000),
        ("scrape_interval: 30s, scrape_timeout: 20s", "scrape_interval: 10s", 10_000, 10_000),
        ("scrape_timeout: 20s", "scrape_timeout: 30s", 60_000, 30_000),
    ],
)
def test_timeouts_are_never_longer_than_intervals(common: str, job: str, interval_ms: int, timeout_ms: int) -> None:
    pool = resolved(f"global: {{{common}}}\nscrape_configs: [{{job_name: a, {job}}}]")
    assert (pool.defaults.interval_ms, pool.defaults.timeout_ms) == (interval_ms, timeout_ms)


def test_limits_come_from_global_unless_the_job_has_its_own() -> None:
    pool = resolved(
        "global: {sample_limit: 5, label_limit: 6, target_limit: 7, body_size_limit: 1KB, extra_scrape_metrics: true}\n"
        "scrape_configs: [{job_name: a, sample_limit: 50, label_value_length_limit: 9, body_size_limit: 1.5MB,"
        " extra_scrape_metrics: false, fallback_scrape_protocol: PrometheusText0.0.4, enable_compression: false}]"
    )
    assert (pool.rules.samples_max, pool.rules.limits.labels_max, pool.targets_max) == (50, 6, 7)
    assert pool.rules.limits.value_bytes_max == 9
    assert pool.fetch.body_bytes_max == 3 << 19
    assert pool.fetch.fallback is ExpositionFormat.TEXT
    assert not pool.fetch.is_compressed
    assert not pool.extra_report


@pytest.mark.parametrize(("said", "is_on"), [("", True), ("extra_scrape_metrics: false", False)])
def test_a_feature_turns_the_extra_report_on_where_the_configuration_does_not_say(said: str, is_on: bool) -> None:
    root = load(Root, f"global: {{{said}}}\nscrape_configs: [{{job_name: a}}]", "test.yml")
    pool = resolve_job(root.common, root.scrape_configs[0], Path(), ScrapeFeatures(extra_report=True))
    assert pool.extra_report is is_on


def test_the_legacy_scheme_asks_for_escaped_names_and_narrows_relabelling() -> None:
    pool = resolved("global: {metric_name_validation_scheme: legacy}\nscrape_configs: [{job_name: a}]")
    assert pool.fetch.escaping == "underscores"
    with pytest.raises(SettingsError, match=r"test.yml:4:.*target_label"):
        resolved(
            "global: {metric_name_validation_scheme: legacy}\nscrape_configs:\n- job_name: a\n"
            "  relabel_configs: [{target_label: a-b, replacement: x}]\n"
        )


@pytest.mark.parametrize(
    ("text", "place", "fault"),
    [
        ("global: {scrape_interval: 5s, scrape_timeout: 6s}", "1:47", "scrape_timeout 6s is longer"),
        ("global: {sample_limit: -1}", "1:24", "0 (none) or more"),
        ("global: {external_labels: {'': x}}", "1:", "valid label name"),
        ("global: {scrape_protocols: []}", "1:28", "cannot be empty"),
        ("scrape_configs: [{job_name: a, body_size_limit: 100}]", "1:49", "is not a size"),
        ("scrape_configs: [{job_name: a, scheme: ftp}]", "1:40", "use one of http, https"),
        ("scrape_configs: [{job_name: a, static_configs: [{targets: ['http://x']}]}]", "1:60", "not a valid hostname"),
        ("scrape_configs: [{job_name: a, file_sd_configs: [{files: ['a/*/b.yml']}]}]", "1:59", "no file name to discover"),
        ("scrape_configs: [{job_name: a, file_sd_configs: [{files: ['a.txt']}]}]", "1:59", "no file name to discover"),
        ("scrape_configs: [{job_name: a, file_sd_configs: [{}]}]", "1:50", "files is missing"),
        ("scrape_configs: [{job_name: a, dns_sd_configs: [{names: [x], type: A}]}]", "1:", "carry no port"),
        ("scrape_configs: [{job_name: a, dns_sd_configs: [{names: [x], type: TXT}]}]", "1:", "use one of SRV"),
        ("scrape_configs: [{job_name: a, ec2_sd_configs: [{filters: [{name: x}]}]}]", "1:", "a filter needs values"),
        ("scrape_configs: [{job_name: a, consul_sd_configs: [{server: ''}]}]", "1:", "server is missing"),
        ("scrape_configs: [{job_name: a, docker_sd_configs: [{}]}]", "1:", "host is missing"),
        ("scrape_configs: [{job_name: a, nerve_sd_configs: [{servers: [x], paths: [y]}]}]", "1:", "must begin with /"),
        ("scrape_configs: [{job_name: a, triton_sd_configs: [{account: x}]}]", "1:", "dns_suffix is missing"),
        ("remote_write: [{url: x, name: a}, {url: y, name: a}]", "1:", "another name"),
        ("otlp: {promote_resource_attributes: [a, ' a ']}", "1:", "given twice"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_at_its_place(text: str, place: str, fault: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(Root, text, "test.yml")
    assert str(caught.value).startswith(f"test.yml:{place}")
    assert fault in str(caught.value)


def test_every_mechanism_but_those_that_run_is_refused_by_name_when_applied() -> None:
    known = [name for name in DiscoverySettings.__struct_fields__ if name.endswith(SUFFIX)]
    assert len(known) >= 35
    assert set(RUNNING) <= {*known, "static_configs"}
    text = "scrape_configs: [{job_name: a, http_sd_configs: [{url: 'http://x'}]}]"
    with pytest.raises(UnsupportedSettingsError, match=r'job "a": http_sd_configs is understood but not run'):
        resolved(text)


def test_forwarding_that_would_not_happen_is_refused() -> None:
    root = load(Root, "remote_write: [{url: 'http://x'}]", "test.yml")
    with pytest.raises(UnsupportedSettingsError, match="remote_write: sending samples on is not done"):
        refuse_unsupported_sections(root.remote_write, root.remote_read)
    refuse_unsupported_sections((), ())


def test_a_dump_shows_no_secret_and_loads_again() -> None:
    text = "scrape_configs: [{job_name: a, basic_auth: {username: u, password: hush}, body_size_limit: 2MB}]"
    shown = dump(load(Root, text, "test.yml"))
    assert "hush" not in shown
    assert "<secret>" in shown
    assert "2MiB" in shown
    load(Root, shown, "again.yml")


@pytest.mark.parametrize(
    ("text", "size", "shown"),
    [
        ("0", 0, "0"),
        ("1B", 1, "1B"),
        ("512MB", 512 << 20, "512MiB"),
        ("1GiB", 1 << 30, "1GiB"),
        ("1.5KB", 1536, "1KiB512B"),
        ("1GB512MB", 3 << 29, "1GiB512MiB"),
    ],
)
def test_sizes_are_powers_of_1024(text: str, size: int, shown: str) -> None:
    assert Size.parse(text).bytes == size
    assert str(Size.parse(text)) == shown
    assert Size.parse(shown).bytes == size


def test_sizes_are_rounded_for_people() -> None:
    assert [Size(size).rounded() for size in (0, 1023, 1024, 2_058_842, 5 << 40)] == [
        "0 bytes", "1023 bytes", "1.0 KiB", "2.0 MiB", "5.0 TiB",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "100", "MB", "-1B", "1 MB", "1mb", "1XB", "9999EB", "1iB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="size"):
        Size.parse(text)


@pytest.mark.skipif(not FIXTURES.is_dir(), reason="the conformance data is not beside the repository")
class TestDiscoveryFiles:
    @pytest.mark.parametrize("name", ["valid.json", "valid.yml", "valid2.yml", "valid3.yml"])
    def test_valid_files_have_groups(self, name: str) -> None:
        assert all(group.targets for group in read_groups(FIXTURES / name))

    @pytest.mark.parametrize("name", ["invalid_nil.json", "invalid_nil.yml"])
    def test_an_empty_group_is_refused(self, name: str) -> None:
        with pytest.raises(SettingsError, match=name):
            read_groups(FIXTURES / name)


def test_a_discovery_file_that_is_absent_or_broken_is_refused(tmp_path: Path) -> None:
    for name, content in (("a.json", '[{"targets": 1}]'), ("b.yml", "targets: [a]"), ("c.json", "[")):
        (tmp_path / name).write_text(content)
        with pytest.raises(SettingsError, match=name):
            read_groups(tmp_path / name)
    with pytest.raises(SettingsError, match="no such file"):
        read_groups(tmp_path / "absent.yml")
    (tmp_path / "d.yml").write_text("")
    assert read_groups(tmp_path / "d.yml") == ()


def test_file_names_may_have_a_star_in_their_last_part() -> None:
    assert FileSettings(files=("a/*.json", "b.yaml", "/c/x-*.yml")).refresh_interval.ms == 300_000


def test_what_becomes_of_histograms_is_said_by_the_job_and_by_global() -> None:
    common = "global: {scrape_native_histograms: true, convert_classic_histograms_to_nhcb: true}\n"
    more = "always_scrape_classic_histograms: true, native_histogram_bucket_limit: 40, native_histogram_min_bucket_factor: 1.1"
    pool = resolved(f"{common}scrape_configs: [{{job_name: a, convert_classic_histograms_to_nhcb: false, {more}}}]")
    assert pool.rules.histograms == HistogramRules(
        with_native=True, with_classic=True, converts_classic=False, schema_max=2, buckets_max=40
    )
    assert pool.fetch.protocols[0] == "PrometheusProto"
    assert resolved(f"{common}scrape_configs: [{{job_name: a}}]").rules.histograms.converts_classic
    for wrong in ("native_histogram_bucket_limit: -1", "native_histogram_min_bucket_factor: .nan"):
        with pytest.raises(InputError, match="0 \\(none\\) or more"):
            resolved(f"scrape_configs: [{{job_name: a, {wrong}}}]")


def test_starts_are_asked_for_as_protobuf() -> None:
    root = load(Root, "scrape_configs: [{job_name: a}]", "test.yml")
    pool = resolve_job(root.common, root.scrape_configs[0], Path(), ScrapeFeatures(with_starts=True))
    assert pool.fetch.protocols[0] == "PrometheusProto"
    assert pool.rules.histograms.with_starts


@pytest.mark.parametrize(
    ("common", "job", "is_on"),
    [
        ("", "scrape_classic_histograms: true", True),
        ("always_scrape_classic_histograms: true", "", True),
        ("always_scrape_classic_histograms: true", "scrape_classic_histograms: false", False),
        ("", "scrape_classic_histograms: true, always_scrape_classic_histograms: false", False),
    ],
)
def test_classic_histograms_are_kept_under_the_name_of_prometheus_2_too(common: str, job: str, is_on: bool) -> None:
    pool = resolved(f"global: {{{common}}}\nscrape_configs: [{{job_name: a, {job}}}]")
    assert pool.rules.histograms.with_classic is is_on
