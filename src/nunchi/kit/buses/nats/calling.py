"""Calls of nats-py: awaited no longer than they can be answered, and their failures as those of the contract.

Invariant: a call ends with its connection, whatever the client does with it.
"""

import asyncio
import os
import ssl
from collections.abc import Awaitable
from typing import Protocol, TypeVar

from nunchi.kit.bus import BusFullError, BusTooLargeError, BusUnavailableError

ANSWER_SECONDS_MAX = 5.0
STORE_REFUSED = 10077  # of JetStream: the stream, or its share of a subject, is full

ResultT = TypeVar("ResultT")


class Caller(Protocol):
    """Who has the connection."""

    @property
    def url(self) -> str:
        """Where it leads."""
        ...

    async def within(self, call: Awaitable[ResultT], seconds_max: float = ANSWER_SECONDS_MAX + 1) -> ResultT:
        """See `call_within`."""
        ...


async def call_within(call: Awaitable[ResultT], lost: asyncio.Event, url: str, seconds_max: float) -> ResultT:
    """The result of a call, as soon as it can be had or never can. Raises BusError."""
    task = asyncio.ensure_future(call)
    losing = asyncio.ensure_future(lost.wait())
    try:
        await asyncio.wait({task, losing}, timeout=seconds_max, return_when=asyncio.FIRST_COMPLETED)
        if not task.done() or task.cancelled():  # the client cancels what waits when its connection ends
            is_lost = task.done() or losing.done()
            raise BusUnavailableError(f"{url}: " + ("connection lost" if is_lost else "no answer in time"))
        try:
            return task.result()
        except Exception as error:
            raise translated(error, url) from error
    finally:
        task.cancel()
        losing.cancel()


def translated(error: Exception, url: str) -> Exception:
    """What a failure of the client means; one that says nothing of the bus stays what it is."""
    from nats.errors import Error, MaxPayloadError
    from nats.js.errors import APIError, NoStreamResponseError

    if isinstance(error, NoStreamResponseError):
        return BusUnavailableError(f"{url}: no stream keeps this topic: is a server of nunchi attached?")
    if isinstance(error, MaxPayloadError):
        return BusTooLargeError(f"{url}: {error}")
    if isinstance(error, APIError) and error.err_code == STORE_REFUSED:
        return BusFullError(f"{url}: {error.description}")
    if isinstance(error, Error | OSError):
        return BusUnavailableError(f"{url}: {reason_of(error)}")
    return error


def reason_of(error: Exception) -> str:
    """In the system's words where it is the system's: asyncio says nothing but that a call failed."""
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) and error.errno and error.errno > 0:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__
