"""Chromium for tests: headless, with a microphone fed from a file, and a note of everything it complains about."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.command import DEADLINE_SECONDS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 860}
# What the policy of a page forbids is an event, which the console does not always show.
NOTE_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""


def find_chromium() -> str:
    """Where it is; skips the test where it is not."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    return found


@contextmanager
def chromium(microphone: Path | None = None) -> Iterator[Browser]:
    """A browser for a block.

    Args:
        microphone: a WAV file that it hears over and over.
    """
    path = find_chromium()
    from playwright.sync_api import sync_playwright

    arguments = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    if microphone is not None:
        arguments.append(f"--use-file-for-fake-audio-capture={microphone}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=arguments, timeout=1000 * DEADLINE_SECONDS
        )
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def page_of(browser: Browser, url: str, *, allowed: tuple[str, ...] = (), **options: Any) -> Iterator[Page]:
    """A page in a context of its own; at the end nothing may have gone wrong in it, except what is ``allowed``."""
    complaints: list[str] = []
    context = browser.new_context(**({"viewport": DESK} | options))
    context.set_default_timeout(1000 * DEADLINE_SECONDS)
    context.add_init_script(NOTE_VIOLATIONS)
    page = context.new_page()
    page.on(
        "console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        page.goto(url)
        yield page
    finally:
        context.close()
    unexpected = [each for each in complaints if not any(words in each for words in allowed)]
    assert unexpected == []


def axe_violations(page: Page) -> list[str]:
    """What axe, an accessibility checker, finds wrong: each rule with the elements."""
    script = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    page.evaluate(script)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{each['id']}: {each['help']}: {[node['html'][:200] for node in each['nodes']]}"
        for each in found["violations"]
    ]
