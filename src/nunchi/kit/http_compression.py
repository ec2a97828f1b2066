"""Compressed response bodies, by what the client accepts. Requests are not decoded here: `wire.compression` does, with a bound.

Invariant: only whole bodies of text-like types are compressed; streams and files pass as they are.
"""

import asyncio

import cramjam
from aiohttp import web

COMPRESS_BYTES_MIN = 1024
THREAD_BYTES_MIN = 256 << 10  # larger bodies are compressed beside the loop
_LEVELS = {"zstd": 3, "gzip": 4}
_TYPES = ("text/", "application/json", "application/javascript", "application/openmetrics-text", "image/svg+xml")


def accepted_coding(header: str) -> str | None:
    """The best of our codings that an Accept-Encoding header accepts."""
    accepted: dict[str, float] = {}
    for item in header.lower().split(","):
        coding, _, parameters = item.partition(";")
        quality = 1.0
        name, _, text = parameters.strip().partition("=")
        if name.strip() == "q":
            try:
                quality = float(text)
            except ValueError:
                quality = 0.0
        accepted[coding.strip()] = quality
    wildcard = accepted.get("*", 0.0)
    best = max(_LEVELS, key=lambda coding: accepted.get(coding, wildcard))
    return best if accepted.get(best, wildcard) > 0 else None


async def compress(request: web.Request, response: web.StreamResponse) -> None:
    """Replace the body of a response by a compressed one where that pays and the client takes it."""
    if not isinstance(response, web.Response) or response.prepared or not isinstance(response.body, bytes):
        return
    body = response.body
    if len(body) < COMPRESS_BYTES_MIN or "Content-Encoding" in response.headers:
        return
    if not response.content_type.startswith(_TYPES):
        return
    response.headers.add("Vary", "Accept-Encoding")
    coding = accepted_coding(request.headers.get("Accept-Encoding", ""))
    if coding is None:
        return
    if len(body) < THREAD_BYTES_MIN:
        compressed = _compressed(coding, body)
    else:
        compressed = await asyncio.to_thread(_compressed, coding, body)
    response.body = compressed
    response.headers["Content-Encoding"] = coding


def _compressed(coding: str, body: bytes) -> bytes:
    codec = cramjam.zstd if coding == "zstd" else cramjam.gzip
    return bytes(codec.compress(body, _LEVELS[coding]))
