"""The stream and the consumer that the bus needs in JetStream: made where they are missing, checked where they are there.

Invariant: what the server echoes is compared with what was asked for: servers drop what they do not know without a word.
"""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from nunchi.kit.bus import BusUnavailableError, BusUnsuitableError, Consumption, Stream
from nunchi.kit.buses.nats.calling import Caller

if TYPE_CHECKING:
    from nats.js.client import JetStreamContext

NEVER_SO = frozenset(
    {10052, 10074}
)  # of JetStream: this stream cannot be changed so; there are no servers for replicas


@contextlib.contextmanager
def refusing(url: str, stream: str) -> Iterator[None]:
    from nats.js.errors import APIError, BadRequestError

    try:
        yield
    except BusUnavailableError as error:
        cause = error.__cause__
        if isinstance(cause, BadRequestError) or (isinstance(cause, APIError) and cause.err_code in NEVER_SO):
            words = cause.description
            raise BusUnsuitableError(f"{url}: the stream {stream} cannot be had as needed: {words}") from error
        raise


async def have_stream(bus: Caller, manager: "JetStreamContext", stream: Stream) -> None:
    from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
    from nats.js.errors import NotFoundError

    wanted = {
        "subjects": [stream.topics],
        "retention": RetentionPolicy.WORK_QUEUE.value,
        "storage": StorageType.FILE.value,
        "discard": DiscardPolicy.NEW.value,
        "discard_new_per_subject": True,
        "max_msgs_per_subject": stream.topic_messages_max,
        "max_bytes": stream.bytes_max,
        "max_age": 0,
        "max_msgs": -1,
        "num_replicas": stream.replicas,
    }
    config = StreamConfig.from_response({"name": stream.name, **wanted})
    try:
        found = (await bus.within(manager.stream_info(stream.name))).config
    except BusUnavailableError as error:
        if not isinstance(error.__cause__, NotFoundError):
            raise
        found = (await bus.within(manager.add_stream(config))).config
    if _differences(wanted, found.as_dict()):
        found = (await bus.within(manager.update_stream(config))).config
    check_echo(bus.url, f"the stream {stream.name}", wanted, found.as_dict())


async def have_consumer(bus: Caller, manager: "JetStreamContext", stream: Stream, consumption: Consumption) -> None:
    from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

    wanted = {
        "durable_name": consumption.name,
        "ack_policy": AckPolicy.EXPLICIT.value,
        "deliver_policy": DeliverPolicy.ALL.value,
        "ack_wait": round(consumption.settle_seconds_max * 1e9),
        "max_ack_pending": consumption.unsettled_max,
        "max_deliver": -1,
        "filter_subject": stream.topics,
    }
    config = ConsumerConfig.from_response(dict(wanted))
    echo = (await bus.within(manager.add_consumer(stream.name, config))).config
    check_echo(bus.url, f"the consumer {consumption.name} of {stream.name}", wanted, echo.as_dict() if echo else {})


def check_echo(url: str, what: str, wanted: dict[str, Any], found: dict[str, Any]) -> None:
    for key in _differences(wanted, found):
        raise BusUnsuitableError(
            f"{url}: {what} has {key} {found.get(key)}, not {wanted[key]}: remove it, or change it there"
        )


def _differences(wanted: dict[str, Any], found: dict[str, Any]) -> list[str]:
    return [key for key, value in wanted.items() if (found.get(key) or 0) != (value or 0)]
