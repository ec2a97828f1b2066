import numpy as np
import pytest

from nunchi.admission.columns import ColumnIndex
from nunchi.admission.door import Door, series_stages
from nunchi.admission.limits import SeriesLimits
from nunchi.admission.passage import DROPPED, REFUSED, Passage
from nunchi.kit.errors import WorldError
from nunchi.kit.telemetry import Telemetry
from nunchi.model.batch import Batch, Reason
from nunchi.model.labels import Labels
from nunchi.model.names import NameScheme
from nunchi.model.relabel import Relabeller, RelabelRule
from nunchi.model.series_group import Layout
from nunchi.storage.contracts import AppendResult
from nunchi.storage.memory import MemoryStore
from nunchi.testing.clock import VirtualClock


def numbers(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def samples(store: MemoryStore) -> dict[str, list[tuple[int, float]]]:
    querier = store.querier()
    selection = querier.select([], 0, 1 << 60)
    found: dict[str, list[tuple[int, float]]] = {}
    for tile in selection.read(0, len(selection.labels)):
        for position, series in enumerate(tile.series.tolist()):
            vector = int(tile.vector_of[position])
            times = tile.vectors[tile.vector_offsets[vector] : tile.vector_offsets[vector + 1]]
            values = tile.values[tile.offsets[position] : tile.offsets[position + 1]]
            found[str(selection.labels.labels(series))] = list(zip(times.tolist(), values.tolist(), strict=True))
    return found


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def store(clock: VirtualClock) -> MemoryStore:
    return MemoryStore(clock)


def test_a_passage_turns_numbers_into_columns_of_its_layout() -> None:
    passage = Passage(series_stages())
    passage.admit([(5, Labels.of("a")), (2, Labels.of("b"))])
    assert passage.take(numbers(2, 5, 2)).tolist() == [1, 0, 1]
    assert [str(labels) for labels in passage.layout] == ["a", "b"]


def test_two_numbers_of_equal_labels_share_a_column_now_and_later() -> None:
    passage = Passage(series_stages())
    passage.admit([(0, Labels.of("a")), (1, Labels.of("a"))])
    passage.admit([(2, Labels.of("b")), (3, Labels.of("a"))])
    assert passage.take(numbers(0, 1, 2, 3)).tolist() == [0, 0, 1, 0]
    assert len(passage.layout) == 2


def test_a_number_given_to_another_series_is_judged_again() -> None:
    passage = Passage(series_stages())
    passage.admit([(0, Labels.of("a"))])
    passage.admit([(0, Labels.of("b"))])
    assert passage.layout.labels(int(passage.take(numbers(0))[0])) == Labels.of("b")


def test_relabelling_drops_silently_and_limits_refuse_with_a_reason() -> None:
    rules = Relabeller([RelabelRule(source_labels=("__name__",), regex="secret.*", action="drop")])
    passage = Passage(series_stages(rules, limits=SeriesLimits(labels_max=2)))
    passage.admit([(0, Labels.of("secret_a")), (1, Labels.of("a", b="1", c="2")), (2, Labels.of("a"))])
    assert passage.take(numbers(0, 1, 2)).tolist() == [DROPPED, REFUSED, 0]
    assert "label_limit exceeded" in passage.refusal(1)


def test_a_series_without_name_or_with_a_name_of_another_scheme_is_refused() -> None:
    passage = Passage(series_stages(scheme=NameScheme.LEGACY))
    passage.admit([(0, Labels.of("", a="b")), (1, Labels.of("a.b")), (2, Labels({"__name__": "a", "x.y": "1"}))])
    assert passage.take(numbers(0, 1, 2)).tolist() == [REFUSED] * 3
    assert [passage.refusal(number) for number in range(3)] == [
        "the series has no metric name",
        "invalid metric name 'a.b'",
        "invalid label name 'x.y' (metric: a)",
    ]


def test_relabelling_may_empty_a_label_set_which_drops_it() -> None:
    passage = Passage(series_stages(Relabeller([RelabelRule(regex=".*", action="labeldrop")])))
    passage.admit([(0, Labels.of("a"))])
    assert passage.take(numbers(0)).tolist() == [DROPPED]


def test_an_index_finds_columns_among_many() -> None:
    index = ColumnIndex(Layout())
    keys = [Labels.of("m", number=str(number)).key() for number in range(500)]
    assert index.columns(keys) == list(range(500))
    assert index.columns([keys[7], b"new\xff", keys[499], b"new\xff"]) == [7, 500, 499, 500]


@pytest.mark.parametrize(
    ("limits", "labels", "refusal"),
    [
        (SeriesLimits(labels_max=2), {"__name__": "m", "a": "1"}, ""),
        (SeriesLimits(labels_max=1), {"__name__": "m", "a": "1"}, "label_limit exceeded"),
        (SeriesLimits(name_bytes_max=8), {"__name__": "m", "nine_long": "1"}, "label_name_length_limit exceeded"),
        (SeriesLimits(value_bytes_max=2), {"__name__": "m", "a": "äö"}, "label_value_length_limit exceeded"),
        (SeriesLimits(value_bytes_max=4), {"__name__": "m", "a": "äö"}, ""),
    ],
)
def test_limits_count_labels_and_bytes(limits: SeriesLimits, labels: dict[str, str], refusal: str) -> None:
    assert limits.check(labels).startswith(refusal)
    assert bool(limits.check(labels)) is bool(refusal)


def test_batches_of_one_append_become_visible_together(store: MemoryStore, clock: VirtualClock) -> None:
    telemetry = Telemetry()
    door = Door(store.appender, clock, telemetry)
    now = clock.now_ms()
    layout = Layout.of(Labels.of("a"), Labels.of("b"))
    rows = [Batch.row(layout, now + shift, numbers(0, 1), np.array([1.0, 2.0])) for shift in (0, 1)]
    result = door.append("test", *rows)
    assert (result.accepted, result.rejected) == (4, {})
    assert samples(store) == {"a": [(now, 1.0), (now + 1, 1.0)], "b": [(now, 2.0), (now + 1, 2.0)]}


def test_samples_too_far_ahead_are_rejected_and_the_others_stored(store: MemoryStore, clock: VirtualClock) -> None:
    telemetry = Telemetry()
    door = Door(store.appender, clock, telemetry)
    now = clock.now_ms()
    times = np.array([now, now + 600_000, now + 600_001, now + 10**9], np.int64)
    layout = Layout.of(*(Labels.of(name) for name in "abcd"))
    result = door.append("test", Batch.cells(layout, times, numbers(0, 1, 2, 3), np.arange(4.0)))
    assert result.accepted == 2
    assert result.rejected == {Reason.TOO_FAR_IN_FUTURE: 2}
    assert [str(example.labels) for example in result.examples] == ["c", "d"]
    assert set(samples(store)) == {"a", "b"}


def test_every_fate_is_counted_by_source_and_reason(store: MemoryStore, clock: VirtualClock) -> None:
    telemetry = Telemetry()
    door = Door(store.appender, clock, telemetry)
    layout, now = Layout.of(Labels.of("a")), clock.now_ms()
    door.append("test", Batch.row(layout, now, numbers(0), np.array([1.0])))
    door.append("test", Batch.row(layout, now, numbers(0), np.array([2.0])))
    door.count_dropped("test", 3)
    counted = {
        (name, tuple(value for _, value in labels)): value
        for instrument in telemetry.instruments()
        for name, labels, value in instrument.samples()
    }
    assert counted["nunchi_admission_samples_accepted_total", ("test",)] == 1
    assert counted["nunchi_admission_samples_rejected_total", ("test", "duplicate_timestamp")] == 1
    assert counted["nunchi_admission_samples_dropped_total", ("test", "relabelling")] == 3


class FailingAppender:
    """Stores nothing; remembers whether it was rolled back."""

    def __init__(self) -> None:
        self.is_rolled_back = False

    def append(self, batch: Batch) -> AppendResult:
        return AppendResult(accepted=len(batch))

    def commit(self) -> None:
        raise WorldError("disk full")

    def rollback(self) -> None:
        self.is_rolled_back = True


def test_what_is_not_committed_is_rolled_back_and_counted_as_worth_sending_again(clock: VirtualClock) -> None:
    appender = FailingAppender()
    telemetry = Telemetry()
    door = Door(lambda: appender, clock, telemetry)
    with pytest.raises(WorldError, match="disk full"):
        door.append("test", Batch.row(Layout.of(Labels.of("a")), clock.now_ms(), numbers(0), np.array([1.0])))
    assert appender.is_rolled_back
    counted = {name: value for one in telemetry.instruments() for name, _, value in one.samples() if value}
    assert counted == {"nunchi_admission_samples_kept_total": 1}
