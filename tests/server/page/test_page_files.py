"""The files of the page: where they are, what may be loaded, and that nothing in them breaks the policy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from stream.server.access.access import Access
from stream.server.http.app import make_app
from stream.server.page.files import FOLDER, MEDIA_TYPES
from tests.support.bare_station import BareStation
from tests.support.served import client_of
from tests.support.stations import toy_model

FILES = sorted(path for path in FOLDER.rglob("*") if path.suffix in MEDIA_TYPES)


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with client_of(make_app(BareStation(toy_model()), Access())) as client:
        yield client


def test_the_page_is_at_the_root_with_a_strict_policy(client: httpx.Client) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.suffix != ".html"], ids=lambda path: path.name
)
def test_every_file_is_served_and_not_sent_twice(client: httpx.Client, path: Path) -> None:
    address = f"/page/{path.relative_to(FOLDER).as_posix()}"
    answer = client.get(address)
    assert answer.content == path.read_bytes()
    assert answer.headers["content-type"] == MEDIA_TYPES[path.suffix]
    again = client.get(address, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/page/", "/page/page.py", "/page/../page.py", "/page/%2e%2e/limits.py"])
def test_nothing_else_is_served(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_comes_from_elsewhere_and_no_text_becomes_html(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    addresses = set(re.findall(r"(?:https?|wss?):?//[\w.]*", text)) - {"http://www.w3.org"}
    assert addresses <= {"http://", "https://", "ws://", "wss://"}, addresses
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "srcdoc",
    ):
        assert word not in text
    if path.suffix == ".html":
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text)
    else:
        assert 'setAttribute("style"' not in text


def test_every_module_that_is_imported_is_there() -> None:
    for path in FILES:
        if path.suffix == ".js":
            for name in re.findall(r'(?:from|import) "(\.[^"]+)"', path.read_text(encoding="utf-8")):
                assert (path.parent / name).is_file(), f"{path.name} imports {name}"
    page = (FOLDER / "index.html").read_text(encoding="utf-8")
    for name in re.findall(r'(?:src|href)="page/([^"]+)"', page):
        assert (FOLDER / name).is_file(), name
