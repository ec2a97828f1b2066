"""Every parser of datagrams bears its corpus and what Hypothesis makes of it: it reads, or refuses in its own words."""

import contextlib
import random

import numpy as np
import pytest
from hypothesis import given, settings
from tests.wire.corpus import SAMPLE_BYTES_MAX, changed, load_corpus
from tests.wire.corpus_samples import AGENT, KEY, SAMPLES
from tests.wire.test_statsd import assert_read_alike

from nunchi.intake.receive.pack_server import PackKey, PackServer
from nunchi.intake.receive.pack_telemetry import PackTelemetry
from nunchi.intake.registry.agent_registry import Acknowledgement
from nunchi.kit.telemetry import Telemetry
from nunchi.testing.clock import VirtualClock
from nunchi.wire import pack
from nunchi.wire.errors import WireError
from nunchi.wire.kernels.pack import DamagedCellsError
from nunchi.wire.pack import PackKind
from nunchi.wire.payload import Payload
from nunchi.wire.scouter_pack import ScouterAssembler

BODIES = {
    PackKind.DICTIONARY: pack.decode_dictionary, PackKind.STATS: pack.decode_stats, PackKind.ANSWER: pack.decode_answer,
    PackKind.WELCOME: pack.decode_welcome, PackKind.CONFIRM: pack.decode_confirm,
}  # fmt: skip


class Keys:
    def keys_of(self, agent_id: str) -> list[PackKey]:
        return [PackKey(KEY)] if agent_id == AGENT else []


def take_nothing(payload: Payload, _: str) -> Acknowledgement:
    return Acknowledgement(payload.samples, 0, {})


def bear_statsd(data: bytes) -> None:
    assert_read_alike(data)


def bear_pack(data: bytes) -> None:
    telemetry = PackTelemetry(Telemetry())
    server = PackServer(Keys(), take_nothing, VirtualClock(), random.Random(1), telemetry)
    answers = server.receive(data, b"", "10.0.0.1")
    assert all(len(one) <= len(data) for one in answers)
    assert telemetry.datagrams.total() == 1
    assert bool(answers) + telemetry.refused.total() <= 1


def bear_pack_body(data: bytes) -> None:
    kind = PackKind(data[0]) if data[:1] and data[0] in set(PackKind) else PackKind.DATA
    with contextlib.suppress(WireError, DamagedCellsError):
        if kind is not PackKind.DATA:
            BODIES.get(kind, pack.decode_stats)(data[1:])
            return
        found = pack.decode_data(data[1:])
        columns, values = pack.decode_cells(found.body, np.zeros(3), found.cells)
        assert (len(columns), len(values)) == (4 * found.cells, 8 * found.cells)


def bear_scouter(data: bytes) -> None:
    assembler = ScouterAssembler()
    with contextlib.suppress(WireError):
        assembler.read(data, "10.0.0.1", 0.0)
    assert assembler._bytes <= len(data)


BEARERS = {"statsd": bear_statsd, "pack": bear_pack, "pack_body": bear_pack_body, "scouter": bear_scouter}


@pytest.mark.parametrize(("parser", "name"), [(parser, name) for parser in BEARERS for name in load_corpus(parser)])
def test_the_kept_corpus_is_borne(parser: str, name: str) -> None:
    data = load_corpus(parser)[name]
    assert len(data) <= SAMPLE_BYTES_MAX
    BEARERS[parser](data)
    for end in range(len(data)):
        BEARERS[parser](data[:end])


@pytest.mark.parametrize("parser", SAMPLES)
def test_the_well_formed_samples_are_in_the_corpus_as_they_are_written_now(parser: str) -> None:
    corpus = load_corpus(parser)
    assert {name: corpus.get(name) for name in SAMPLES[parser]()} == SAMPLES[parser]()


@settings(max_examples=500, deadline=None)
@given(changed("statsd"))
def test_changed_lines_are_read_as_the_slow_twin_reads_them(data: bytes) -> None:
    bear_statsd(data)


@settings(max_examples=300, deadline=None)
@given(changed("pack"))
def test_changed_packs_are_answered_by_nothing_larger_and_counted(data: bytes) -> None:
    bear_pack(data)


@settings(max_examples=500, deadline=None)
@given(changed("pack_body"))
def test_changed_bodies_of_packs_are_read_or_refused(data: bytes) -> None:
    bear_pack_body(data)


@settings(max_examples=500, deadline=None)
@given(changed("scouter"))
def test_changed_scouter_packs_are_read_or_refused(data: bytes) -> None:
    bear_scouter(data)
