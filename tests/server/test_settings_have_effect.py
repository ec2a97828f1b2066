"""Every key that a configuration file may have is acted on, remarked upon when it is taken up, or refused by name.

*Acted on* is read off the source: some code beside a struct's own checks reads an attribute of that name, or names the key
in the struct's module, where keys are read in a loop.
"""

import ast
import importlib
import inspect
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import pytest

import nunchi
from nunchi.intake.mechanisms import RUNNING, SUFFIX, DiscoverySettings, UnsupportedSettingsError
from nunchi.intake.scrape.settings import GlobalSettings, JobSettings, resolve_job
from nunchi.intake.sections import RemoteReadSettings, RemoteWriteSettings
from nunchi.kit.clock import SystemClock
from nunchi.kit.settings import WithoutEffect
from nunchi.kit.settings.without_effect import reason_of
from nunchi.kit.tls import TlsClientSettings
from nunchi.notify.errors import NotifySettingsError
from nunchi.notify.receiver_registry import MAKERS, make_receiver
from nunchi.notify.settings import GlobalSettings as NotifyGlobalSettings
from nunchi.notify.settings import NotifySettings, ReceiverSettings, parse_notify_settings
from nunchi.server.alerting_settings import AlertmanagersSettings
from nunchi.server.configuration import LoadedConfiguration
from nunchi.server.settings import Configuration, PrometheusSettings, parse_configuration

SOURCE = Path(nunchi.__file__).parent
REFUSED_SECTIONS = [
    *(
        (JobSettings, name)
        for name in DiscoverySettings.__struct_fields__
        if name.endswith(SUFFIX) and name not in RUNNING
    ),
    *(
        (ReceiverSettings, name)
        for name in ReceiverSettings.__struct_fields__
        if name.endswith("_configs") and name.removesuffix("_configs") not in dict(MAKERS)
    ),
    (PrometheusSettings, "remote_write"),
    (PrometheusSettings, "remote_read"),
    (AlertmanagersSettings, "sigv4"),
]
# Structs whose fields are taken one by one in a loop over all of them, or handed on as a whole.
WHOLE = {
    "ReceiverSettings": "`kinds` goes through what a receiver sends to",
    "ChecksSettings": "`check_settings` goes through the checks",
    "AgentMetadata": "kept, and shown by the API, as it came",
    "Panel": "the overview page's script reads it",
    "PanelQuery": "the overview page's script reads it",
    "Tile": "the overview page's script reads it",
}
ACTS_BY_REFUSING = {"allow_remote": "without it StatsdSettings refuses an address beyond loopback"}


def modules() -> Iterator[str]:
    """What is written in Python and no part of the test kit."""
    for path in sorted(SOURCE.rglob("*.py")):
        name = ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")
        if not name.startswith("nunchi.testing"):
            yield name


def settings_types() -> list[type[msgspec.Struct]]:
    """Every struct that a file is read into: those that refuse unknown keys."""
    types: dict[type[msgspec.Struct], None] = {}
    for name in modules():
        for one in vars(importlib.import_module(name)).values():
            is_here = inspect.isclass(one) and issubclass(one, msgspec.Struct) and one.__module__ == name
            if is_here and one.__struct_config__.forbid_unknown_fields:
                types[one] = None
    return list(types)


def structs_of(annotation: object) -> Iterator[type[msgspec.Struct]]:
    if inspect.isclass(annotation) and issubclass(annotation, msgspec.Struct):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from structs_of(argument)


def within(sections: Iterable[tuple[type[msgspec.Struct], str]]) -> set[type[msgspec.Struct]]:
    """The structs that only these fields lead to, from the two files."""
    sections = set(sections)

    def reached(start: list[type[msgspec.Struct]], skipping: set[tuple[type[msgspec.Struct], str]]) -> set[type]:
        found, waiting = set(), start
        while waiting:
            one = waiting.pop()
            if one in found:
                continue
            found |= {one, *(base for base in one.__mro__ if base is not one and issubclass(base, msgspec.Struct))}
            for info in msgspec.structs.fields(one):
                if not any(issubclass(one, owner) and info.name == name for owner, name in skipping):
                    waiting.extend(structs_of(info.type))
        return found

    refused = {kind for owner, name in sections for info in msgspec.structs.fields(owner) if info.name == name
               for kind in structs_of(info.type)}  # fmt: skip
    discovery = {(DiscoverySettings, name) for owner, name in sections if owner is JobSettings}
    return reached(list(refused), set()) - reached([PrometheusSettings, NotifySettings], sections | discovery)


class Reads(ast.NodeVisitor):
    """Attributes that are read and texts that stand in one module, outside of the checks of structs."""

    def __init__(self) -> None:
        self.attributes: set[str] = set()
        self.texts: set[str] = set()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if node.name != "__post_init__":
            self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.ctx, ast.Load):
            self.attributes.add(node.attr)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self.texts.add(node.value)


def reads_by_module() -> dict[str, Reads]:
    found = {}
    for name in modules():
        found[name] = Reads()
        found[name].visit(ast.parse(inspect.getsource(importlib.import_module(name))))
    return found


def has_one_meaning(annotation: object) -> bool:
    """A literal with a single choice: all else is refused by name."""
    return typing.get_origin(annotation) is typing.Literal and len(set(typing.get_args(annotation)) - {""}) == 1


def idle_fields(types: Iterable[type[msgspec.Struct]], reads: dict[str, Reads]) -> set[str]:
    """`Struct.field` of every field that nothing reads, marks or narrows to one choice."""
    read = set().union(*(one.attributes for one in reads.values()))
    return {
        f"{one.__name__}.{info.name}"
        for one in types
        for info in msgspec.structs.fields(one)
        if info.name in one.__annotations__
        and info.name not in read
        and info.name not in reads[one.__module__].texts
        and info.name not in ACTS_BY_REFUSING
        and not reason_of(info)
        and not has_one_meaning(info.type)
        and one.__name__ not in WHOLE
    }


def marked_sections() -> set[type[msgspec.Struct]]:
    """Structs below a marked field, whose fields nobody looks at."""
    return {
        kind
        for one in settings_types()
        for info in msgspec.structs.fields(one)
        if reason_of(info)
        for kind in structs_of(info.type)
        if kind is not TlsClientSettings  # which others use
    }


def test_every_key_is_acted_on_remarked_upon_or_refused() -> None:
    sections = {f"{owner.__name__}.{name}" for owner, name in REFUSED_SECTIONS}
    sections |= {f"DiscoverySettings.{name}" for owner, name in REFUSED_SECTIONS if owner is JobSettings}
    types = set(settings_types()) - within(REFUSED_SECTIONS) - marked_sections()
    of_marks_alone = {"TsdbSettings.chunk_encoding"}  # all that it holds is marked
    assert idle_fields(types, reads_by_module()) - sections - of_marks_alone == set()


def test_a_key_that_nothing_reads_is_found() -> None:
    class Example(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        read_by_nobody: str = ""
        marked: Annotated[str, WithoutEffect("it is an example")] = ""
        chosen: typing.Literal["", "one"] = ""
        path: str = ""  # a word that is read all over

    reads = reads_by_module() | {Example.__module__: Reads()}
    assert idle_fields([Example], reads) == {"Example.read_by_nobody"}


def take_up(owner: type[msgspec.Struct], name: str) -> None:
    """Take up settings that have something in a section."""
    something = (object(),)
    if owner is JobSettings:
        resolve_job(GlobalSettings(), JobSettings(job_name="a", **{name: something}), Path())
    elif owner is ReceiverSettings:
        for kind, _, one in ReceiverSettings(name="a", **{name: something}).kinds():
            make_receiver("a", kind, one, NotifyGlobalSettings(), Path(), SystemClock())
    elif owner is AlertmanagersSettings:
        AlertmanagersSettings(**{name: something}).check_support()
    else:
        entry = {"remote_write": RemoteWriteSettings, "remote_read": RemoteReadSettings}[name](url="http://x")
        Configuration(PrometheusSettings(**{name: (entry,)})).check_support()


@pytest.mark.parametrize(("owner", "name"), REFUSED_SECTIONS, ids=lambda value: getattr(value, "__name__", value))
def test_what_is_not_done_is_refused_by_name(owner: type[msgspec.Struct], name: str) -> None:
    with pytest.raises((UnsupportedSettingsError, NotifySettingsError), match=name):
        take_up(owner, name)


@pytest.mark.parametrize("name", [name for name in DiscoverySettings.__struct_fields__ if name.endswith(SUFFIX)])
def test_alertmanagers_may_name_every_discovery_and_are_told_that_it_does_not_run(name: str) -> None:
    with pytest.raises(UnsupportedSettingsError, match=f"alerting.alertmanagers: {name} is understood but not run"):
        AlertmanagersSettings(**{name: (object(),)}).check_support()


PROMETHEUS = """
runtime: {gogc: 50}
global: {query_log_file: q}
scrape_configs:
- {job_name: a, scrape_failure_log_file: f, enable_http2: false}
- {job_name: b, scrape_failure_log_file: f}
storage: {tsdb: {stale_series_compaction_threshold: 0.5, chunk_encoding: {floats: xor2}, retention: {percentage: 5}}}
tracing: {endpoint: x, timeout: 1s}
otlp: {promote_scope_metadata: true}
"""
ROUTES = """
global: {smtp_require_tls: false, slack_app_url: 'http://x', http_config: {enable_http2: false}}
route: {receiver: a}
receivers: [{name: a, webhook_configs: [{url: 'http://x'}]}]
tracing: {endpoint: x}
"""


def test_what_changes_nothing_is_remarked_upon_once_by_name_with_its_reason() -> None:
    loaded = LoadedConfiguration(
        parse_configuration(PROMETHEUS, Path("p.yml"), {}), parse_notify_settings(ROUTES, "a.yml")
    )
    said = [remark.partition(" has no effect here: ")[::2] for remark in loaded.remarks()]
    assert all(reason for _, reason in said)
    assert [place.replace(" and 1 more of its kind", " +1") for place, _ in said] == [
        "global.query_log_file",
        "runtime.gogc",
        "scrape_configs[0].enable_http2",
        "scrape_configs[0].scrape_failure_log_file +1",
        "storage.tsdb.stale_series_compaction_threshold",
        "storage.tsdb.chunk_encoding.floats",
        "storage.tsdb.retention.percentage",
        "tracing",
        "otlp",
        "global.http_config.enable_http2",
        "global.smtp_require_tls",
        "global.slack_app_url",
        "tracing",
    ]


def test_defaults_written_out_need_no_remark() -> None:
    configuration = parse_configuration(
        "runtime: {gogc: 75}\notlp: {}\nglobal: {query_log_file: ''}\n", Path("p.yml"), {}
    )
    assert configuration.remarks() == []
