"""What the server knows of agents beside their samples: keys, join tokens, metadata, whether they are enabled, what they
last told.

A join token is used once and expires. An agent has one key, and two while it changes from one to the next: the older
one is valid until the newer one was used. Keys and tokens are long and random, so their plain SHA-256 is what is kept.
Invariant: what decides who an agent is (id, name, keys) is written before anybody is told, and a revoked key opens
nothing from that moment on.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec

from nunchi.intake.registry.errors import JoinError, UnknownAgentError
from nunchi.kit.clock import Clock
from nunchi.kit.logs import Logger
from nunchi.kit.telemetry import Telemetry
from nunchi.storage.records import Event, Records

AGENT_KIND, TOKEN_KIND = "agent", "join_token"
SECRET_BITS = 256
ID_BITS = 128
TOKENS_MAX = 1000
TOKEN_SECONDS_MAX = 30 * 24 * 3600.0
TEXT_CHARACTERS_MAX = 256
TOKEN_PREFIX = "join"  # noqa: S105 (what tokens begin with, not one)


class AgentMetadata(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What operators say of an agent."""

    service_type: str = ""
    namespace: str = ""
    group: str = ""
    machine: str = ""
    provider: str = ""
    mode: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if len(getattr(self, name)) > TEXT_CHARACTERS_MAX:
                raise ValueError(f"{name} is longer than {TEXT_CHARACTERS_MAX} characters")


class KeyRecord(msgspec.Struct, frozen=True):
    """One key, hashed."""

    id: str
    hash: str
    made_ms: int


class AgentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of an agent. `keys` are at most two, the newer last; none where it never joined or was revoked."""

    id: str
    name: str = ""
    keys: list[KeyRecord] = []
    joined_ms: int = 0
    revoked_ms: int = 0
    is_enabled: bool = True
    metadata: AgentMetadata = AgentMetadata()

    @property
    def is_enrolled(self) -> bool:
        """Whether this id is somebody's: only its key speaks for it, and nobody's key does once it was revoked."""
        return bool(self.joined_ms)


class TokenRecord(msgspec.Struct, frozen=True):
    """A join token, hashed; `name` is the agent's, where the token says so."""

    hash: str
    expires_ms: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom a key belongs to: what the server calls the agent, whatever it calls itself."""

    agent_id: str
    name: str


@dataclass(slots=True)
class Told:
    """The latest AgentInfo. `clock_offset_ms`: how far the agent's clock is ahead of ours."""

    at_ms: int = 0
    clock_offset_ms: int = 0
    info: dict[str, Any] = field(default_factory=dict)
    inventory: dict[str, Any] = field(default_factory=dict)
    is_rotation_wanted: bool = False


class AgentBook:
    """Open before use."""

    def __init__(self, records: Records, clock: Clock, random: Random, telemetry: Telemetry, log: Logger) -> None:
        self._records = records
        self._clock = clock
        self._random = random
        self._log = log
        self._agents: dict[str, AgentRecord] = {}
        self._told: dict[str, Told] = {}
        self._refused = telemetry.counter(
            "nunchi_agent_keys_refused_total", "Requests with a key or join token that opens nothing.", "reason"
        )

    def open(self) -> None:
        """Read what is known. Raises RecordsError."""
        for _, body in self._records.entities(AGENT_KIND):
            record = msgspec.json.decode(body, type=AgentRecord)
            self._agents[record.id] = record

    # Joining and keys.

    def issue_token(self, seconds: float, name: str = "") -> tuple[str, int]:
        """A new join token, and when it expires. Raises JoinError."""
        if not 0 < seconds <= TOKEN_SECONDS_MAX:
            raise JoinError(f"a join token lives for up to {TOKEN_SECONDS_MAX:.0f} seconds, not {seconds:.0f}")
        self._forget_expired_tokens()
        if len(self._records.entities(TOKEN_KIND)) >= TOKENS_MAX:
            raise JoinError(f"{TOKENS_MAX} join tokens wait to be used: let some expire")
        token_id, secret = f"{self._random.getrandbits(64):016x}", self._secret()
        expires_ms = self._clock.now_ms() + round(seconds * 1000)
        self._records.put(TOKEN_KIND, token_id, msgspec.json.encode(TokenRecord(_hash(secret), expires_ms, name)))
        return f"{TOKEN_PREFIX}.{token_id}.{secret}", expires_ms

    def join(self, token: str, agent_id: str, name: str) -> tuple[Owner, str]:
        """Who the bearer of a token is from now on, and its key. The token is used up. Raises JoinError."""
        known = self._take_token(token)
        if not agent_id or (agent_id in self._agents and self._agents[agent_id].is_enrolled):
            agent_id = f"{self._random.getrandbits(ID_BITS):032x}"  # a cloned machine brings the id of another
        name = (known.name or name or agent_id)[:TEXT_CHARACTERS_MAX]
        key, hashed = self._new_key(agent_id)
        before = self._agents.get(agent_id, AgentRecord(id=agent_id))
        self._keep(
            msgspec.structs.replace(before, name=name, keys=[hashed], joined_ms=self._clock.now_ms(), revoked_ms=0),
            "joined",
        )
        return Owner(agent_id, name), key

    def authenticate(self, key: str) -> Owner | None:
        """Whom a key belongs to; None, and counted, where it opens nothing."""
        agent_id, _, secret = key.strip().partition(".")
        record = self._agents.get(agent_id)
        hashed = _hash(secret)
        for position, known in enumerate(record.keys if record else []):
            if record is not None and hmac.compare_digest(known.hash, hashed):
                if position:
                    self._keep(msgspec.structs.replace(record, keys=record.keys[position:]), "key changed")
                return Owner(record.id, record.name)
        reason = "unknown" if record is None else "revoked" if record.revoked_ms else "wrong"
        self._refused.add(1, reason)
        return None

    def rotate(self, agent_id: str) -> str:
        """A second key for an agent; the first opens until this one was used. Raises UnknownAgentError."""
        record = self.lookup(agent_id)
        if not record.keys:
            raise UnknownAgentError(f"agent {agent_id} has no key that could change: let it join")
        key, hashed = self._new_key(agent_id)
        self._keep(msgspec.structs.replace(record, keys=[record.keys[0], hashed]), "key issued")
        self.told(agent_id).is_rotation_wanted = False
        return key

    def ask_rotation(self, agent_id: str) -> None:
        """Have the agent change its key with its next heartbeat. Raises UnknownAgentError."""
        self.lookup(agent_id)
        self._told.setdefault(agent_id, Told()).is_rotation_wanted = True

    def revoke(self, agent_id: str) -> None:
        """No key of this agent opens anything any more. Raises UnknownAgentError."""
        record = self.lookup(agent_id)
        now_ms = self._clock.now_ms()
        self._keep(
            msgspec.structs.replace(record, keys=[], joined_ms=record.joined_ms or now_ms, revoked_ms=now_ms), "revoked"
        )

    def is_enrolled(self, agent_id: str) -> bool:
        """Whether only a key may speak for this id."""
        record = self._agents.get(agent_id)
        return record is not None and record.is_enrolled

    # What is said of agents.

    def lookup(self, agent_id: str) -> AgentRecord:
        """What is kept of an agent. Raises UnknownAgentError."""
        record = self._agents.get(agent_id)
        if record is None:
            raise UnknownAgentError(f"no agent has the id {agent_id}")
        return record

    def find(self, agent_id: str) -> AgentRecord:
        """What is kept of an agent, or an empty record."""
        return self._agents.get(agent_id) or AgentRecord(id=agent_id)

    def ids(self) -> list[str]:
        """All agents of which something is kept or was told."""
        return sorted(self._agents.keys() | self._told.keys())

    def is_enabled(self, agent_id: str) -> bool:
        """Whether the server takes what this agent pushes."""
        return self.find(agent_id).is_enabled

    def enable(self, agent_id: str, *, is_enabled: bool) -> None:
        """Take what an agent pushes, or refuse it for now: the agent keeps it."""
        record = msgspec.structs.replace(self.find(agent_id), is_enabled=is_enabled)
        self._keep(record, "enabled" if is_enabled else "disabled")

    def describe(self, agent_id: str, metadata: AgentMetadata) -> None:
        """Put metadata in place of what was said before."""
        self._keep(msgspec.structs.replace(self.find(agent_id), metadata=metadata), "described")

    def forget(self, agent_id: str) -> None:
        """Remove all that is kept of an agent, keys among it."""
        self._agents.pop(agent_id, None)
        self._told.pop(agent_id, None)
        self._records.remove(AGENT_KIND, agent_id)
        self._note(agent_id, "forgotten")

    def told(self, agent_id: str) -> Told:
        """The latest of what an agent told of itself."""
        return self._told.get(agent_id) or Told()

    def take_info(self, agent_id: str, info: dict[str, Any]) -> Told:
        """An AgentInfo has come."""
        told = self._told.setdefault(agent_id, Told())
        now_ms = self._clock.now_ms()
        inventory = info.pop("inventory", None)
        if isinstance(inventory, dict):
            told.inventory = inventory
        agent_ms = info.get("now_ms")
        told.clock_offset_ms = agent_ms - now_ms if isinstance(agent_ms, int) else 0
        told.at_ms, told.info = now_ms, info
        return told

    def events(self, agent_id: str) -> list[Event]:
        """What happened to an agent, newest first."""
        return self._records.events(AGENT_KIND, agent_id)

    def _take_token(self, token: str) -> TokenRecord:
        prefix, _, rest = token.strip().partition(".")
        token_id, _, secret = rest.partition(".")
        body = self._records.find(TOKEN_KIND, token_id) if prefix == TOKEN_PREFIX else None
        known = msgspec.json.decode(body, type=TokenRecord) if body else None
        if known is None or not hmac.compare_digest(known.hash, _hash(secret)):
            self._refused.add(1, "token")
            raise JoinError("the join token is not known here or was used before: have another one issued")
        self._records.remove(TOKEN_KIND, token_id)
        if known.expires_ms <= self._clock.now_ms():
            self._refused.add(1, "token_expired")
            raise JoinError("the join token has expired: have another one issued")
        return known

    def _forget_expired_tokens(self) -> None:
        now_ms = self._clock.now_ms()
        for token_id, body in self._records.entities(TOKEN_KIND):
            if msgspec.json.decode(body, type=TokenRecord).expires_ms <= now_ms:
                self._records.remove(TOKEN_KIND, token_id)

    def _new_key(self, agent_id: str) -> tuple[str, KeyRecord]:
        secret = self._secret()
        key_id = f"{self._random.getrandbits(32):08x}"
        return f"{agent_id}.{secret}", KeyRecord(key_id, _hash(secret), self._clock.now_ms())

    def _secret(self) -> str:
        return f"{self._random.getrandbits(SECRET_BITS):064x}"

    def _keep(self, record: AgentRecord, what: str) -> None:
        self._records.put(AGENT_KIND, record.id, msgspec.json.encode(record))
        self._agents[record.id] = record
        self._note(record.id, what)

    def _note(self, agent_id: str, what: str) -> None:
        self._records.note(AGENT_KIND, agent_id, what.encode())
        self._log.info("agent " + what, id=agent_id)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
