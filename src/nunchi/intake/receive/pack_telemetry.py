"""What the server counts about packs: per agent what came and what was lost, per listener what proves nothing."""

from nunchi.kit.telemetry import Telemetry
from nunchi.wire.pack_window import PackWindow


class PackTelemetry:
    """Instruments. Of each agent, sent = received + lost + those still on their way."""

    def __init__(self, telemetry: Telemetry) -> None:
        self.datagrams = telemetry.counter("nunchi_pack_datagrams_total", "Datagrams received, whatever they are.")
        self.refused = telemetry.counter(
            "nunchi_pack_datagrams_refused_total",
            "Datagrams that prove nothing, or are damaged; they get no answer. kernel: nobody read in time.",
            "reason",
        )
        self.received = telemetry.counter("nunchi_pack_received_total", "Packs of an agent, each once.", "agent")
        self.lost = telemetry.counter(
            "nunchi_pack_lost_total", "Packs that an agent sent and that never came.", "agent"
        )
        self.duplicates = telemetry.counter("nunchi_pack_duplicate_total", "Packs that came again.", "agent")
        self.reordered = telemetry.counter("nunchi_pack_reordered_total", "Packs overtaken by later ones.", "agent")
        self.late = telemetry.counter("nunchi_pack_late_total", "Packs that came after they were given up.", "agent")
        self.unusable = telemetry.counter(
            "nunchi_pack_unusable_total", "Packs whose rounds went the other way.", "reason"
        )
        self.rounds = telemetry.counter("nunchi_pack_rounds_total", "Whole rounds, by what became of them.", "outcome")
        self.samples = telemetry.counter("nunchi_pack_samples_total", "Samples of rounds stored.")
        self.sessions = telemetry.gauge("nunchi_pack_sessions", "Sessions of packs.")
        self._told: dict[bytes, tuple[int, ...]] = {}

    def tell_window(self, session: bytes, agent: str, window: PackWindow) -> None:
        """What has changed in a window since it was told last."""
        now = window.received, window.lost, window.duplicates, window.reordered, window.late
        before = self._told.get(session, (0, 0, 0, 0, 0))
        counters = self.received, self.lost, self.duplicates, self.reordered, self.late
        for counter, count, known in zip(counters, now, before, strict=True):
            if count > known:
                counter.add(count - known, agent)
        self._told[session] = now

    def forget(self, session: bytes) -> None:
        """A session has ended."""
        self._told.pop(session, None)
