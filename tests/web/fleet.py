"""Agents for the pages: the real routes and the real book over records in memory, told by make-believe agents."""

import random
from typing import Any

from tests.web.sources import HOSTILE, INSTANCE
from tests.web.synthetic import put

from nunchi.intake.receive.agents import AgentRoutes
from nunchi.intake.registry.agent_book import AgentBook, AgentMetadata
from nunchi.intake.registry.health import HealthState
from nunchi.intake.registry.status import AgentStatus
from nunchi.kit.clock import Clock
from nunchi.kit.http_route import Route
from nunchi.kit.logs import logger
from nunchi.kit.telemetry import Telemetry
from nunchi.model.labels import Labels
from nunchi.storage.contracts import Store
from nunchi.storage.records import Records

WELL, SILENT, LATE = "a" * 32, "b" * 32, "c" * 32
HISTORY_SECONDS = 1200


class Heard:
    """Stands for the registry: who was heard of, and how they are."""

    def __init__(self) -> None:
        self.statuses: list[AgentStatus] = []

    def agents(self) -> list[AgentStatus]:
        return self.statuses

    def forget(self, agent_id: str) -> None:
        self.statuses = [one for one in self.statuses if one.agent_id != agent_id]

    def is_known(self, agent_id: str) -> bool:
        return any(one.agent_id == agent_id for one in self.statuses)


class Fleet:
    """Agents in every state."""

    def __init__(self, clock: Clock) -> None:
        records, log = Records(None, clock), logger("test")
        records.open()
        self.clock = clock
        self.heard = Heard()
        self.book = AgentBook(records, clock, random.Random(1), Telemetry(), log)
        self.book.open()
        self._routes = AgentRoutes(self.book, self.heard, clock)  # type: ignore[arg-type]  # what it asks of a registry

    def routes(self) -> list[Route]:
        return self._routes.routes()

    def fill(self) -> None:
        """One that is well, one that is late and has lost something, one that is silent."""
        self._add(WELL, INSTANCE, HealthState.HEALTHY, 1.4)
        self._add(LATE, "cache-1.example", HealthState.LATE, 17.0, misses=1)
        self._add(SILENT, "db-1.example", HealthState.UNHEALTHY, 95.0, misses=9, is_up=False)
        token, _ = self.book.issue_token(60, INSTANCE)
        self.book.join(token, WELL, INSTANCE)
        self.book.describe(WELL, AgentMetadata(service_type="shop", group="frontend", provider="aws", note="blue rack"))
        self._tell(WELL, tags=["rack-7", "postgres"], labels={"site": "north"}, inventory=INVENTORY)
        broken = "nunchi-agent.yaml:3:1: there is no field intervall; did you mean interval?"
        refused = "ConnectionRefusedError: 127.0.0.1:6379 refuses connections"
        self._tell(LATE, ahead_ms=41_000, dropped={"spool_full": 12_400}, settings_error=broken, error=refused)

    def put_history(self, store: Store) -> None:
        """What the well one counted of itself."""
        for age in range(HISTORY_SECONDS, 0, -10):
            put(store, self.clock.now() - age, self._samples(age))

    def put_hostile(self) -> None:
        """An agent that tells what attacks whoever shows it."""
        hostile = "d" * 32
        self._add(hostile, HOSTILE["markup"], HealthState.HEALTHY, 1.0, conflict=HOSTILE["quotes"])
        self.book.describe(hostile, AgentMetadata(note=HOSTILE["markup"], group=HOSTILE["rtl"]))
        inventory = {"a" * 3000: {"x": HOSTILE["long"]}, HOSTILE["markup"]: [{HOSTILE["quotes"]: [1]}, 3], "odd": 5}
        self._tell(
            hostile, tags=list(HOSTILE.values()), labels=HOSTILE, inventory=inventory, error=HOSTILE["markup"],
            settings_error=HOSTILE["markup"], dropped={HOSTILE["markup"]: 1 << 60}, name=HOSTILE["rtl"],
        )  # fmt: skip

    def _add(
        self, agent_id: str, name: str, health: HealthState, age: float, *, misses: int = 0, is_up: bool = True,
        conflict: str = "",
    ) -> None:  # fmt: skip
        at_ms = self.clock.now_ms() - round(age * 1000)
        self.heard.statuses.append(
            AgentStatus(
                agent_id=agent_id, job="node", instance=name, version="0.1.0", address="10.1.2.3", epoch=1, is_up=is_up,
                first_heard_ms=at_ms - 86_400_000, last_heard_ms=at_ms, last_round_ms=at_ms, lag_seconds=0.21,
                interval_seconds=10.0, samples=1_177_200, duplicates=546, conflict=conflict, health=health,
                misses=misses,
            )
        )  # fmt: skip

    def _tell(
        self, agent_id: str, *, ahead_ms: int = 3, error: str = "", dropped: dict[str, int] | None = None,
        inventory: dict[str, Any] | None = None, name: str = "redis", **more: Any,
    ) -> None:  # fmt: skip
        now_ms = self.clock.now_ms() + ahead_ms
        checks = [
            {"name": check, "error": error if check == name else "", "is_stuck": False, "interval_seconds": 10.0,
             "duration_seconds": 0.0021, "last_run_ms": now_ms - 4000, "next_run_ms": now_ms + 86_400_000,
             "samples": 40 + len(check)}
            for check in ("cpu", "disk", "filesystem", "load", "memory", "network", name)
        ]  # fmt: skip
        accounting = {
            "collected": 4_321_000, "recovered": 0, "acknowledged": 4_320_400, "queued": 600, "duplicate": 546,
            "dropped": dropped or {},
        }  # fmt: skip
        info = {
            "id": agent_id, "now_ms": now_ms, "addresses": ["10.1.2.3", "fd00::3"],
            "started_at_ms": now_ms - 90_000_000, "outage_seconds_left": 81_000.0, "accounting": accounting,
            "checks": checks, **more,
        }  # fmt: skip
        self.book.take_info(agent_id, {**info, **({"inventory": inventory} if inventory else {})})

    @staticmethod
    def _samples(age: int) -> list[tuple[Labels, float]]:
        at = HISTORY_SECONDS - age
        own = {"instance": INSTANCE, "job": "agent"}
        waiting = max(0.0, 300 - abs(at - 600)) * 54
        return [
            (Labels.of("agent_samples_collected_total", **own), at * 54.0),
            (Labels.of("agent_samples_dropped_total", reason="spool_full", **own), 900.0 if at > 600 else 0.0),
            (Labels.of("agent_samples_queued", **own), waiting),
            (Labels.of("agent_spool_outage_seconds_left", **own), 86_400 - waiting * 3),
        ]


INVENTORY = {
    "processor": {"vendor": "GenuineIntel", "model": "Xeon Gold 6230", "mhz": 2100.0, "processors": 8, "cores": 4},
    "memory": {"bytes": 33_554_432_000, "swap_bytes": 2_147_483_648},
    "disks": [
        {"name": "nvme0n1", "bytes": 512_110_190_592, "model": "Samsung PM981", "rotational": False},
        {"name": "sda", "bytes": 4_000_787_030_016, "model": "ST4000NM", "rotational": True},
    ],
    "network": [{"name": "eth0", "address": "52:54:00:12:34:56", "mtu": 1500, "state": "up"}],
    "platform": {"hostname": INSTANCE, "system": "Linux", "kernel_release": "6.1.0-26-amd64", "machine": "x86_64"},
}
