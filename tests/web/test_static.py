"""The files of the pages: what is vendored is what was published, what is ours is small and cannot break the CSP."""

import json
import re
import runpy
import shutil
from pathlib import Path

import pytest
from tests.peers import ROOT
from tests.web.conftest import Asker

from nunchi.web.pages import FRAME, PATHS, Pages, load_static

STATIC = ROOT / "src/nunchi/web/static"
VENDOR = STATIC / "vendor"
OWN = [
    path for path in STATIC.rglob("*") if path.suffix in {".js", ".css", ".html", ".svg"} and VENDOR not in path.parents
]
LINES_MAX = 300
OWN_BYTES_MAX = 160_000

check_vendor = runpy.run_path(str(ROOT / "tools/vendor"))["faults"]


def test_vendored_files_have_the_hashes_of_their_manifest():
    assert check_vendor(VENDOR) == []
    for package in json.loads((VENDOR / "vendor.json").read_text())["packages"]:
        assert re.fullmatch(r"\d+\.\d+\.\d+", package["version"])
        assert package["licence"] in {"MIT", "Apache-2.0"}
        assert any(file["to"].endswith(".LICENSE") for file in package["files"])


@pytest.mark.parametrize("damage", ["changed", "missing", "added"])
def test_a_vendored_file_that_differs_is_named(tmp_path: Path, damage: str):
    folder = tmp_path / "vendor"
    shutil.copytree(VENDOR, folder)
    if damage == "changed":
        (folder / "htm.js").write_text("export default 1")
    elif damage == "missing":
        (folder / "htm.js").unlink()
    else:
        (folder / "extra.js").write_text("")
    named = "extra.js" if damage == "added" else "htm.js"
    assert [fault.partition(":")[0] for fault in check_vendor(folder)] == [named]


@pytest.mark.parametrize("path", OWN, ids=lambda path: str(path.relative_to(STATIC)))
def test_our_files_are_small_and_ask_nobody_outside(path: Path):
    text = path.read_text()
    assert text.count("\n") <= LINES_MAX
    allowed = {"http://www.w3.org/2000/svg"}
    assert set(re.findall(r"https?://[a-z0-9][^\s\"'`)]*", text)) <= allowed
    assert not re.search(
        r"\b(innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML|document\.write|eval)\b", text
    )
    assert not re.search(r"new Function\b", text)
    if path.suffix == ".html":
        assert not re.search(r"<script(?![^>]*\bsrc=)|\bon[a-z]+=|\bstyle=|<style", text)


def test_our_files_together_stay_light():
    assert sum(path.stat().st_size for path in OWN) < OWN_BYTES_MAX


def test_every_import_between_our_modules_leads_to_a_file():
    for path in OWN:
        for target in re.findall(r"(?:from|import\()\s*\"(\.[^\"]+)\"", path.read_text()):
            assert (path.parent / target).resolve().is_file(), f"{path.name}: {target}"


def test_the_frame_stands_below_a_prefix():
    pages = Pages("/monitoring")
    frame = pages._frame.decode()
    assert 'data-base="/monitoring"' in frame
    links = re.findall(r'(?:src|href)="([^"#]+)"', frame)
    assert links
    assert all(link.startswith("/monitoring/") for link in links)
    assert "{{" not in frame


async def test_pages_are_one_frame_and_files_are_kept_for_ever(asker: Asker):
    frames = {await asker.text(path) for path in PATHS}
    assert len(frames) == 1
    (status, frame) = frames.pop()
    assert status == 200
    for link in re.findall(r'(?:src|href)="(/static/[^"]+)"', frame):
        async with asker.session.get(asker.site.url + link) as response:
            assert response.status == 200, link
            assert "immutable" in response.headers["Cache-Control"]
            assert response.headers["Content-Type"].startswith(("text/", "image/svg+xml"))


async def test_an_older_hash_gives_the_present_file_and_strange_paths_none(asker: Asker):
    assert (await asker.text("/static/0123456789abcdef/app.js"))[0] == 200
    for path in ("/static/x/nobody.js", f"/static/x/{FRAME}", "/static/x/..%2f..%2fwiring.py", "/static/"):
        assert (await asker.text(path))[0] == 404, path


async def test_addresses_of_machines_get_no_page_where_nothing_is(asker: Asker):
    for path in ("/api/v1/nothing", "/-/nothing"):
        status, text = await asker.text(path)
        assert (status, "<html" in text) == (404, False), path
    status, text = await asker.text("/nowhere")
    assert (status, "<html" in text) == (404, True)


def test_every_static_file_has_a_type_that_browsers_take():
    for path, file in load_static().items():
        if path.endswith(".js"):
            assert file.content_type.startswith("text/javascript")
