"""The pages: one HTML frame for every address that is a page, and the files below `static/`, held in memory.

Invariant: an address of a file holds the hash of all files and may be cached for ever; older ones give the present file.
"""

import hashlib
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath

from aiohttp import web

from nunchi.kit.http_route import Access, Route

FRAME = "index.html"
PATHS = ("/", "/query", "/graph", "/agents", "/agent", "/targets", "/alerts", "/events", "/rules", "/clouds", "/status")
PRELOADED = ("vendor/preact.js", "vendor/preact-hooks.js", "vendor/htm.js", "view.js", "api.js", "address.js")
HASH_CHARACTERS = 16
CONTENT_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file as it is sent."""

    content: bytes
    content_type: str


def load_static() -> dict[str, StaticFile]:
    """Every file below `static/` by its path there."""
    return dict(_files(resources.files(__package__) / "static", PurePosixPath()))


def _files(folder: Traversable, below: PurePosixPath) -> list[tuple[str, StaticFile]]:
    found: list[tuple[str, StaticFile]] = []
    for entry in sorted(folder.iterdir(), key=lambda each: each.name):
        path = below / entry.name
        if entry.is_dir():
            found += _files(entry, path)
        else:
            content_type = CONTENT_TYPES.get(path.suffix, "text/plain; charset=utf-8")
            found.append((str(path), StaticFile(entry.read_bytes(), content_type)))
    return found


class Pages:
    """Serves the frame and the files; `prefix` is what stands before every path outside, as `HttpPolicy.prefix`."""

    def __init__(self, prefix: str) -> None:
        self._files = load_static()
        digest = hashlib.sha256()
        for path, file in self._files.items():
            digest.update(path.encode() + b"\0" + file.content)
        self._static = f"{prefix}/static/{digest.hexdigest()[:HASH_CHARACTERS]}"
        self._frame = self._filled_frame(prefix)

    def routes(self) -> list[Route]:
        """Pages, files, the icon that browsers ask for by themselves, and the page for all other addresses."""
        return [
            *(Route("GET", path, self.frame, Access.READ) for path in PATHS),
            Route("GET", "/static/{hash}/{path:.+}", self.file, Access.READ),
            Route("GET", "/favicon.ico", self.icon, Access.READ),
            Route("GET", "/{path:(?!api/|-/|static/).*}", self.missing, Access.READ),
        ]

    async def frame(self, _: web.Request) -> web.Response:
        """The same frame for every page: its script shows what the address means."""
        return self._page(200)

    async def missing(self, _: web.Request) -> web.Response:
        """The frame for an address that is no page; its script says so."""
        return self._page(404)

    async def icon(self, _: web.Request) -> web.Response:
        """The icon."""
        return self._sent(self._files["favicon.svg"])

    async def file(self, request: web.Request) -> web.Response:
        """One file below `static/`."""
        found = self._files.get(request.match_info["path"])
        if found is None or request.match_info["path"] == FRAME:
            return web.Response(status=404, text=f"there is no file at {request.path}\n")
        return self._sent(found)

    def _filled_frame(self, prefix: str) -> bytes:
        text = self._files[FRAME].content.decode()
        preload = "\n".join(f'<link rel="modulepreload" href="{self._static}/{path}">' for path in PRELOADED)
        for name, value in {"static": self._static, "base": prefix, "preload": preload}.items():
            text = text.replace("{{" + name + "}}", value)
        return text.encode()

    def _page(self, status: int) -> web.Response:
        headers = {"Content-Type": CONTENT_TYPES[".html"], "Cache-Control": "no-cache"}
        return web.Response(status=status, body=self._frame, headers=headers)

    def _sent(self, file: StaticFile) -> web.Response:
        headers = {"Content-Type": file.content_type, "Cache-Control": "public, max-age=31536000, immutable"}
        return web.Response(body=file.content, headers=headers)
