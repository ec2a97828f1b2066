"""`POST /api/v1/write`: Prometheus remote write 1.0.

All senders share one layout, so that shards of one sender, and many senders, meet as columns of the same series.
Invariants: what can be stored is stored, whatever else stands in the request; 2xx says that all of it was, 4xx that the rest
never will be, 503 that sending it again may help (what was stored is then accepted again, as the same).
"""

import numpy as np
from aiohttp import web

from nunchi.admission.door import Door
from nunchi.kit.errors import WorldError
from nunchi.kit.http_server import Access, Route
from nunchi.kit.logs import Logger
from nunchi.kit.telemetry import Telemetry
from nunchi.model.batch import Batch, Reason
from nunchi.model.series_group import Layout
from nunchi.storage.contracts import AppendResult
from nunchi.wire import compression
from nunchi.wire.errors import BodyTooLarge, WireError
from nunchi.wire.remote_write import RemoteWriteReader, WriteRequest

PATH = "/api/v1/write"
SOURCE = "remote_write"
BODY_BYTES_MAX = 32 << 20
RETRY_AFTER_SECONDS = 5
MEDIA_TYPE = "application/x-protobuf"
MESSAGE = "prometheus.WriteRequest"
MESSAGE_2 = "io.prometheus.write.v2.Request"


class RemoteWriteReceiver:
    """Takes write requests and answers them."""

    def __init__(self, door: Door, telemetry: Telemetry, log: Logger, reader: RemoteWriteReader | None = None) -> None:
        self._door = door
        self._log = log
        self._reader = reader or RemoteWriteReader()
        self._layout = Layout()
        self._is_away = False  # whether the store took nothing of the latest request
        self._requests = telemetry.counter(
            "nunchi_remote_write_requests_total", "Remote write requests, by the status answered.", "status"
        )
        self._exemplars = telemetry.counter(
            "nunchi_remote_write_exemplars_dropped_total", "Exemplars received that were not stored.", "reason"
        )
        telemetry.gauge(
            "nunchi_remote_write_series_remembered", "Label sets that are known without being read again."
        ).observe_with(lambda: self._reader.series_remembered)

    def routes(self) -> list[Route]:
        """What this receiver serves."""
        return [Route("POST", PATH, self.receive, Access.INGEST, body_bytes_max=BODY_BYTES_MAX)]

    async def receive(self, request: web.Request) -> web.Response:
        """Answer one write request."""
        response = self._answer(
            request.headers.get("Content-Type", ""), request.headers.get("Content-Encoding", ""), await request.read()
        )
        self._requests.add(1, str(response.status))
        return response

    def _answer(self, content_type: str, encoding: str, body: bytes) -> web.Response:
        refusal = refuse_media_type(content_type) or refuse_encoding(encoding)
        if refusal:
            return web.Response(status=415, text=refusal)
        try:
            written = self._reader.read(compression.decode("snappy", body, BODY_BYTES_MAX))
        except BodyTooLarge as error:
            return web.Response(status=413, text=str(error))
        except WireError as error:
            return web.Response(status=400, text=str(error))
        return self._store(written)

    def _store(self, written: WriteRequest) -> web.Response:
        if written.is_renumbered:
            self._layout = Layout()
        for _, key in written.new_series:
            self._layout.append(key)
        batch = Batch(
            self._layout,
            written.row_timestamps,
            written.row_offsets,
            written.series,
            written.values,
            written.metadata,
            histogram_of=written.histogram_of,
            histograms=written.histograms,
            exemplars=written.exemplars,
        )
        if len(written.invalid_histograms):
            fine = np.ones(len(batch), np.bool_)
            fine[written.invalid_histograms] = False
            batch = batch.keep(fine)
        try:
            result = self._door.append(SOURCE, batch)
        except WorldError as error:
            if not self._is_away:
                self._log.warning("remote write is not stored: senders are told to try again", error=error)
            self._is_away = True
            return retry_later(f"not stored: {error}")
        if self._is_away:
            self._log.info("remote write is stored again")
        self._is_away = False
        if written.exemplars_invalid:
            self._exemplars.add(written.exemplars_invalid, "invalid")
        for refusal, count in result.exemplars_refused.items():
            self._exemplars.add(count, refusal.value)
        self._count_unread(written, result)
        if result.rejected:
            return web.Response(status=400, text=describe_rejections(result, written.invalid))
        if result.kept:
            return retry_later(f"{result.kept} samples cannot be stored now; send the request again")
        return web.Response(status=204)

    def _count_unread(self, written: WriteRequest, result: AppendResult) -> None:
        """Samples that never became cells belong to the account all the same."""
        unread = {
            Reason.INVALID_LABELS: sum(written.invalid.values()),
            Reason.INVALID_HISTOGRAM: len(written.invalid_histograms),
        }
        for reason, count in unread.items():
            if count:
                result.rejected[reason] = result.rejected.get(reason, 0) + count
                self._door.count_rejected(SOURCE, count, reason)


def refuse_media_type(header: str) -> str:
    """Why a body of this content type is not read; empty where it is."""
    if not header:
        return ""
    media_type, *parameters = (part.strip() for part in header.split(";"))
    if media_type.lower() != MEDIA_TYPE:
        return f"expected {MEDIA_TYPE} as the first (media) part, got {header} content-type"
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "proto" and value.strip() != MESSAGE:
            known = "is not accepted by this server" if value.strip() == MESSAGE_2 else "is not known"
            return f"{value.strip()} protobuf message {known}; accepted: {MESSAGE} (remote write 1.0)"
    return ""


def refuse_encoding(header: str) -> str:
    """Why a body of this content encoding is not read; empty where it is. None given means snappy."""
    if header.strip().lower() in {"", "snappy"}:
        return ""
    return f"{header} encoding (compression) is not accepted by this server; only snappy is acceptable"


def retry_later(text: str) -> web.Response:
    """Not now."""
    return web.Response(status=503, text=text, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def describe_rejections(result: AppendResult, invalid: dict[str, int] | None = None) -> str:
    """How many samples of a request were refused for good and why, with a few of them by name."""
    counts = ", ".join(
        f"{reason.value}: {count}" for reason, count in sorted(result.rejected.items(), key=lambda item: item[0].value)
    )
    lines = [f"{result.accepted} samples stored, {result.rejected_total} rejected ({counts})"]
    lines += [f"invalid labels: {reason}: {count}" for reason, count in sorted((invalid or {}).items())]
    lines += [f"{example.reason.value}: {example.labels} at {example.timestamp_ms}" for example in result.examples]
    if result.kept:
        lines.append(f"{result.kept} samples cannot be stored now")
    return "\n".join(lines)
