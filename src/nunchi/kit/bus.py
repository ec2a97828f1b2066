"""A message bus: topics kept in a stream until whoever consumes them is done with them. Ways of having one: `buses/`.

WorldError
└── BusError
    ├── BusUnavailableError  no connection, nobody to keep it, no answer in time; what was put may be kept all the same
    ├── BusFullError         the stream, or its share of this topic, is full: nothing was kept
    └── BusTooLargeError     longer than the bus carries: nothing was kept
InputError
└── BusUnsuitableError       the bus is too old, or a stream or consumer of this name is set up otherwise

Invariant: what `put` has kept is delivered until it is accepted or rejected, also to another process; nothing is discarded.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from nunchi.kit.errors import InputError, WorldError


class BusError(WorldError):
    """The bus did not do what was asked."""


class BusUnavailableError(BusError):
    """It cannot be reached, or does not answer."""


class BusFullError(BusError):
    """It keeps no more for now."""


class BusTooLargeError(BusError):
    """It never carries so much at once."""


class BusUnsuitableError(InputError):
    """It is not as it has to be: the operator must change it."""


@dataclass(frozen=True, slots=True)
class Stream:
    """What is kept: messages of `topics` (`*` stands for one word), up to bounds at which `put` fails."""

    name: str
    topics: str
    bytes_max: int
    topic_messages_max: int
    replicas: int = 1


@dataclass(frozen=True, slots=True)
class Consumption:
    """How it is taken, by all who share the name: what is taken and not settled in time is delivered again."""

    name: str
    unsettled_max: int
    settle_seconds_max: float


@dataclass(frozen=True, slots=True)
class Backlog:
    """Messages that nobody has taken, that somebody has, and of these, how many were taken more than once."""

    waiting: int
    unsettled: int
    redelivered: int


class Delivered(Protocol):
    """A message taken. `deliveries` counts from 1."""

    @property
    def topic(self) -> str:
        """What it was put under."""
        ...

    @property
    def body(self) -> bytes:
        """What was put."""
        ...

    @property
    def deliveries(self) -> int:
        """How often it was delivered, this time among them."""
        ...

    async def accept(self) -> None:
        """It is done with. Raises BusError; the bus may not have heard."""
        ...

    async def reject(self) -> None:
        """Nobody shall have it again. Raises BusError."""
        ...

    async def keep(self, seconds: float) -> None:
        """Deliver it again, to whoever asks, after this time. Raises BusError."""
        ...


class Consumer(Protocol):
    """One of those who share a consumption."""

    async def take(self, messages_max: int, wait_seconds: float) -> list[Delivered]:
        """What is there, as soon as something is; nothing where nothing came in time. Raises BusError."""
        ...

    async def backlog(self) -> Backlog:
        """What waits. Raises BusError."""
        ...

    async def close(self) -> None:
        """Take no more; what came and was not handed out is delivered to others at once."""
        ...


Hear = Callable[[bytes], None]


class Bus(Protocol):
    """One way to one bus. Every call but `close` connects where there is no connection."""

    @property
    def url(self) -> str:
        """Where it is, for messages."""
        ...

    async def put(self, topic: str, body: bytes) -> None:
        """Have a message kept; on return it is. Raises BusError, BusUnsuitableError."""
        ...

    async def tell(self, topic: str, body: bytes) -> None:
        """Tell who listens now; nothing is kept, nobody says whether it was heard. Raises BusError, BusUnsuitableError."""
        ...

    async def listen(self, topic: str, hear: Hear) -> None:
        """Hear what is told, over connections that are lost and made again. Raises BusError, BusUnsuitableError."""
        ...

    async def consume(self, stream: Stream, consumption: Consumption) -> Consumer:
        """Take part in a consumption; makes what is missing and checks what is there. Raises BusError, BusUnsuitableError."""
        ...

    async def close(self) -> None:
        """Give the connection back."""
        ...
