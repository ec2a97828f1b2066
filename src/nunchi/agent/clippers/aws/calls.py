"""Calls of one account in one region: in turn, retried, counted.

Invariant: an API is called no faster than its bucket allows; a failure that may pass is tried again at most `ATTEMPTS_MAX`
times with growing, jittered pauses; every attempt is counted.
"""

from collections.abc import AsyncIterator
from random import Random
from typing import Any

from nunchi.agent.clippers.aws.boto import Transport
from nunchi.agent.cloud.calling import BlockingCalls
from nunchi.agent.cloud.errors import CloudError, Kind
from nunchi.agent.cloud.telemetry import CloudTelemetry
from nunchi.agent.cloud.throttle import TokenBucket
from nunchi.kit.backoff import Backoff
from nunchi.kit.clock import Clock

ATTEMPTS_MAX = 5
RETRY_INITIAL_SECONDS = 0.5
RETRY_SECONDS_MAX = 20.0
PAGES_MAX = 2000
RATES = {"get_metric_data": 20.0, "get_metric_statistics": 40.0, "list_metrics": 12.0, "get_resources": 5.0}
RATE_DEFAULT = 5.0  # of Describe and List calls


class AwsCalls:
    """All calls of one account in one region."""

    def __init__(
        self,
        account: str,
        region: str,
        transport: Transport,
        blocking: BlockingCalls,
        clock: Clock,
        random: Random,
        telemetry: CloudTelemetry,
    ) -> None:
        self.account = account
        self.region = region
        self.telemetry = telemetry
        self._transport = transport
        self._blocking = blocking
        self._clock = clock
        self._random = random
        self._buckets: dict[tuple[str, str], TokenBucket] = {}

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """The answer of one call. Raises CloudError."""
        bucket = self._bucket(service, operation)
        backoff = Backoff(RETRY_INITIAL_SECONDS, RETRY_SECONDS_MAX, self._random)
        attempts = 0
        while True:
            attempts += 1
            await bucket.wait_turn()
            try:
                answer = await self._blocking.run(
                    lambda: self._transport.invoke(self.region, service, operation, parameters)
                )
            except CloudError as error:
                self._count(operation, error.kind.value)
                if error.kind is Kind.THROTTLED:
                    bucket.slow_down()
                if not error.kind.is_passing or attempts >= ATTEMPTS_MAX:
                    raise
                await self._clock.sleep(backoff.next())
            else:
                bucket.speed_up()
                self._count(operation, "ok")
                return answer

    async def pages(
        self, service: str, operation: str, token_asked: str, token_answered: str, **parameters: Any
    ) -> AsyncIterator[dict[str, Any]]:
        """All pages of an answer."""
        for _ in range(PAGES_MAX):
            answer = await self.call(service, operation, **parameters)
            yield answer
            token = answer.get(token_answered)
            if not token:
                return
            parameters = {**parameters, token_asked: token}
        raise CloudError(Kind.INVALID, f"{service}.{operation} in {self.region}: more than {PAGES_MAX} pages")

    def _bucket(self, service: str, operation: str) -> TokenBucket:
        bucket = self._buckets.get((service, operation))
        if bucket is None:
            rate = RATES.get(operation, RATE_DEFAULT)
            bucket = self._buckets[service, operation] = TokenBucket(rate, rate, self._clock)
        return bucket

    def _count(self, operation: str, outcome: str) -> None:
        self.telemetry.calls.add(1, self.account, self.region, operation, outcome)
