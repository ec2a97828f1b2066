"""The cloud configurations that the server keeps, and which agent obeys which.

A configuration names the agents that may obey it, by patterns; one of them at a time does, so that nothing is
collected, and paid for, twice. It keeps the task while it goes on asking; when it has been silent for
`LEASE_SECONDS` the next that asks has it.
Invariant: what `put` returned from is on disk; an agent gets what is meant for it and nothing else.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import msgspec

from nunchi.intake.registry.errors import CloudConfigurationError, UnknownCloudConfigurationError
from nunchi.kit.clock import Clock
from nunchi.kit.logs import Logger
from nunchi.kit.settings import dump
from nunchi.kit.waiting import wait_event
from nunchi.storage.records import Records
from nunchi.wire.cloud_configuration import NAME, CloudConfiguration, parse_cloud_configuration
from nunchi.wire.cloud_exchange import HandedConfiguration

KIND = "cloud_configuration"
CONFIGURATIONS_MAX = 1000
AGENTS_MAX = 100
LEASE_SECONDS = 180.0
WAITING_MAX = 200  # agents that are told of changes; the others ask
NOTHING = HandedConfiguration("none", "")


class KeptConfiguration(msgspec.Struct, frozen=True, kw_only=True):
    """One configuration as it was put; `agents` are patterns of agents' names."""

    name: str
    agents: tuple[str, ...]
    text: str
    changed_ms: int

    @property
    def version(self) -> str:
        """Another for another text."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]


@dataclass(slots=True)
class Lease:
    """Who obeys a configuration, and since when it has not been heard, by the monotonic clock."""

    agent_id: str
    agent_name: str
    heard_at: float


class CloudConfigurations:
    """Open before use."""

    def __init__(self, records: Records, clock: Clock, log: Logger) -> None:
        self._records = records
        self._clock = clock
        self._log = log
        self._kept: dict[str, KeptConfiguration] = {}
        self._leases: dict[str, Lease] = {}
        self._changed = asyncio.Event()  # another one after each change
        self.waiting = 0

    def open(self) -> None:
        """Read what is known. Raises RecordsError."""
        for name, body in self._records.entities(KIND):
            self._kept[name] = msgspec.json.decode(body, type=KeptConfiguration)

    def put(self, name: str, agents: Sequence[str], text: str) -> KeptConfiguration:
        """Keep a configuration in place of an earlier one. Raises InputError where it is broken, RecordsError."""
        if not NAME.fullmatch(name):
            raise CloudConfigurationError(f"{name!r}: a name has letters, digits, and _ . @ - between them")
        if not agents or len(agents) > AGENTS_MAX or not all(agents):
            raise CloudConfigurationError(f"agents: name 1 to {AGENTS_MAX} agents that may obey it, as in cloud-*")
        if name not in self._kept and len(self._kept) >= CONFIGURATIONS_MAX:
            raise CloudConfigurationError(f"there are {CONFIGURATIONS_MAX} configurations already: remove some")
        own = parse_cloud_configuration(text, name)
        self._check_accounts(name, own)
        kept = KeptConfiguration(name=name, agents=tuple(agents), text=text, changed_ms=self._clock.now_ms())
        self._records.put(KIND, name, msgspec.json.encode(kept))
        self._kept[name] = kept
        self._tell_change()
        self._log.info("cloud configuration changed", name=name)
        return kept

    def remove(self, name: str) -> None:
        """Forget a configuration: whoever obeys it stops. Raises UnknownCloudConfigurationError."""
        self.lookup(name)
        self._records.remove(KIND, name)
        del self._kept[name]
        self._leases.pop(name, None)
        self._tell_change()
        self._log.info("cloud configuration removed", name=name)

    def lookup(self, name: str) -> KeptConfiguration:
        """One configuration. Raises UnknownCloudConfigurationError."""
        kept = self._kept.get(name)
        if kept is None:
            raise UnknownCloudConfigurationError(f"no cloud configuration is called {name!r}")
        return kept

    def all(self) -> list[tuple[KeptConfiguration, Lease | None]]:
        """Every configuration with who obeys it, by name."""
        return [(self._kept[name], self._live_lease(name)) for name in sorted(self._kept)]

    def hand_over(self, agent_id: str, agent_name: str) -> HandedConfiguration:
        """What an agent is to obey now: all configurations that are its own, as one; `NOTHING` where there are none."""
        found = [self._kept[name] for name in sorted(self._kept) if self._take_lease(name, agent_id, agent_name)]
        if not found:
            return NOTHING
        if len(found) == 1:
            return HandedConfiguration(found[0].version, found[0].text)
        accounts = [account for one in found for account in parse_cloud_configuration(one.text, one.name).aws]
        version = hashlib.sha256("".join(one.version for one in found).encode()).hexdigest()[:16]
        return HandedConfiguration(version, dump(CloudConfiguration(aws=tuple(accounts))))

    async def wait_change(self, agent_id: str, agent_name: str, version: str, seconds: float) -> HandedConfiguration:
        """What an agent is to obey: as soon as that is another version than the one it has, or after so long.

        Where `WAITING_MAX` wait already, at once.
        """
        until = self._clock.monotonic() + seconds
        while True:
            handed, left = self.hand_over(agent_id, agent_name), until - self._clock.monotonic()
            if handed.version != version or left <= 0 or self.waiting >= WAITING_MAX:
                return handed
            self.waiting += 1
            try:
                await wait_event(self._changed, left, self._clock)
            finally:
                self.waiting -= 1

    def _tell_change(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _check_accounts(self, name: str, own: CloudConfiguration) -> None:
        """Accounts are told apart by name, wherever they are written."""
        names = {account.name for account in own.aws}
        for other in self._kept.values():
            twice = names & {account.name for account in parse_cloud_configuration(other.text, other.name).aws}
            if other.name != name and twice:
                raise CloudConfigurationError(
                    f"account {min(twice)!r} stands in the configuration {other.name!r} too: give one another name"
                )

    def _take_lease(self, name: str, agent_id: str, agent_name: str) -> bool:
        """Whether a configuration is this agent's, from now on at least."""
        if not any(fnmatchcase(agent_name, pattern) for pattern in self._kept[name].agents):
            return False
        lease, now = self._live_lease(name), self._clock.monotonic()
        if lease is not None and lease.agent_id != agent_id:
            return False
        if lease is None:
            self._log.info("an agent obeys a cloud configuration", name=name, agent=agent_name)
        self._leases[name] = Lease(agent_id, agent_name, now)
        return True

    def _live_lease(self, name: str) -> Lease | None:
        lease = self._leases.get(name)
        if lease is None or self._clock.monotonic() - lease.heard_at > LEASE_SECONDS:
            return None
        return lease if any(fnmatchcase(lease.agent_name, one) for one in self._kept[name].agents) else None
