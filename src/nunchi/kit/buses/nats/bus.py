"""A bus that is NATS JetStream, 2.10 or newer: one stream of the work-queue kind, one durable pull consumer.

nats-py is imported with the first connection. A connection that is lost is made anew by the next call, never behind its back,
with the secrets that are in their files then.
Invariant: secrets are sent only as the settings say: encrypted, to a server whose certificate was verified, or openly where
nobody asks for more.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from nunchi.kit.bus import BusTooLargeError, BusUnavailableError, BusUnsuitableError, Consumption, Hear, Stream
from nunchi.kit.bus_settings import BusSettings
from nunchi.kit.buses.nats.calling import ANSWER_SECONDS_MAX, call_within, reason_of
from nunchi.kit.buses.nats.consumer import NatsConsumer
from nunchi.kit.buses.nats.setup import have_consumer, have_stream, refusing
from nunchi.kit.credentials import CredentialsUnreadable, read_secret
from nunchi.kit.logs import Logger
from nunchi.kit.tls import ClientContext, TlsClientSettings

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg

VERSION_MIN = (2, 10)
CONNECT_SECONDS_MAX = 3.0
CLOSE_SECONDS_MAX = 1.0

ResultT = TypeVar("ResultT")


class NatsBus:
    """See `Bus`. `name` is what NATS shows of the connection, and sets the inboxes of one apart from all others'."""

    def __init__(self, settings: BusSettings, name: str, folder: Path, log: Logger) -> None:
        self.url = ",".join(settings.urls)
        self._settings = settings
        self._name = name
        self._folder = folder
        self._log = log
        self._tls = ClientContext(settings.tls_config or TlsClientSettings(), folder)
        self._client: Client | None = None
        self._connecting = asyncio.Lock()
        self._lost = asyncio.Event()
        self._heard: dict[str, Hear] = {}

    async def put(self, topic: str, body: bytes) -> None:
        """See `Bus.put`."""
        client = await self._connected()
        if len(body) > client.max_payload:
            raise BusTooLargeError(f"{len(body)} bytes are more than {self.url} carries ({client.max_payload})")
        await self.within(client.jetstream(timeout=ANSWER_SECONDS_MAX).publish(topic, body))

    async def tell(self, topic: str, body: bytes) -> None:
        """See `Bus.tell`."""
        client = await self._connected()
        await self.within(client.publish(topic, body))

    async def listen(self, topic: str, hear: Hear) -> None:
        """See `Bus.listen`."""
        is_new = topic not in self._heard
        self._heard[topic] = hear
        before = self._client
        client = await self._connected()
        if is_new and client is before:
            await self._subscribe(client, topic)

    async def consume(self, stream: Stream, consumption: Consumption) -> NatsConsumer:
        """See `Bus.consume`."""
        client = await self._connected()
        manager = client.jetstream(timeout=ANSWER_SECONDS_MAX)
        with refusing(self.url, stream.name):
            await have_stream(self, manager, stream)
            await have_consumer(self, manager, stream, consumption)
        consumer = NatsConsumer(self, client, stream.name, consumption.name)
        await consumer.open()
        return consumer

    async def close(self) -> None:
        """See `Bus.close`."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(Exception):  # what was told last shall be heard, if it can be
                async with asyncio.timeout(CLOSE_SECONDS_MAX):
                    await client.flush()
            await _close_quietly(client, self._lost)

    async def within(self, call: Awaitable[ResultT], seconds_max: float = ANSWER_SECONDS_MAX + 1) -> ResultT:
        """See `Caller.within`."""
        return await call_within(call, self._lost, self.url, seconds_max)

    # Connecting.

    async def _connected(self) -> "Client":
        async with self._connecting:
            if self._client is None or not self._client.is_connected:
                await self.close()
                self._client = await self._connect()
                for topic in self._heard:
                    await self._subscribe(self._client, topic)
            return self._client

    async def _connect(self) -> "Client":
        try:
            from nats.aio.client import Client
        except ImportError as error:
            raise BusUnsuitableError("a bus at nats:// needs nats-py: pip install nunchi[nats]") from error
        client, reasons, lost = Client(), list[str](), asyncio.Event()

        async def note_error(error: Exception) -> None:
            reasons.append(reason_of(error))
            self._log.debug("the bus has a remark", url=self.url, error=error)

        async def note_lost() -> None:
            lost.set()

        try:
            async with asyncio.timeout(CONNECT_SECONDS_MAX):
                await client.connect(
                    self._settings.urls,
                    name=self._name,
                    verbose=True,  # waits for the verdict on the secrets: a write after the server's close would lose its words
                    allow_reconnect=False,
                    connect_timeout=CONNECT_SECONDS_MAX,  # type: ignore[arg-type]  # seconds; the client divides nothing
                    error_cb=note_error,
                    disconnected_cb=note_lost,
                    closed_cb=note_lost,
                    inbox_prefix=f"_INBOX.{self._name}",
                    **self._credentials(client),
                )
            self._check_encrypted(client)
            self._check_version(client)
        except (BusUnsuitableError, BusUnavailableError):
            await _close_quietly(client, lost)
            raise
        except Exception as error:
            await _close_quietly(client, lost)
            reason = reasons[-1] if reasons else reason_of(error)
            raise BusUnavailableError(f"{self.url}: no connection: {reason}") from error
        self._lost = lost
        return client

    def _credentials(self, client: "Client") -> dict[str, Any]:
        """Secrets come by functions, which the client calls once the connection is encrypted, and which fail if it is not."""
        settings, given = self._settings, dict[str, Any]()
        if settings.is_encrypted:
            given["tls"] = self._tls.context()
            if settings.tls_config is not None and settings.tls_config.server_name:
                given["tls_hostname"] = settings.tls_config.server_name

        def of(inline: str, file_name: str) -> Callable[[], str]:
            def reveal() -> str:
                self._check_encrypted(client)
                try:
                    return read_secret(getattr(settings, inline), getattr(settings, file_name), self._folder)
                except CredentialsUnreadable as error:
                    raise BusUnavailableError(f"{self.url}: {error}") from error

            return reveal

        if settings.username:
            given["user"], given["password"] = settings.username, of("password", "password_file")
        elif settings.token or settings.token_file:
            given["token"] = of("token", "token_file")
        return given

    def _check_encrypted(self, client: "Client") -> None:
        """The client encrypts where the server's first line says so, and that line comes in the clear."""
        information = client._server_info  # noqa: SLF001 (the client shows it in no other way)
        if self._settings.is_encrypted and not information.get("tls_required"):
            raise BusUnavailableError(f"{self.url} offers no TLS: nothing is sent to it in the clear")

    def _check_version(self, client: "Client") -> None:
        version = client.connected_server_version
        if (version.major, version.minor) < VERSION_MIN:
            needed = ".".join(map(str, VERSION_MIN))
            raise BusUnsuitableError(
                f"{self.url} is NATS {version.major}.{version.minor}.{version.patch}: {needed} or newer is needed; "
                "older ones lose compare-and-set with replicas and drop filters without a word"
            )

    async def _subscribe(self, client: "Client", topic: str) -> None:
        hear = self._heard[topic]

        async def take(message: "Msg") -> None:
            hear(message.data)

        await self.within(client.subscribe(topic, cb=take))
        await self.within(client.flush())


async def _close_quietly(client: "Client", lost: asyncio.Event) -> None:
    """Close, or wait until it has closed itself; whatever ends badly has ended."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(CLOSE_SECONDS_MAX):
            await client.close()
            await lost.wait()
