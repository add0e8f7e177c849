"""The page in a real browser, on a station of simulated sources."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stream.cli.models import load_model
from stream.dashboard.words import clock, span
from stream.server.access.access import Access
from stream.server.access.tokens import TokenFile, add_token
from stream.server.http.app import make_app
from stream.server.station import Station
from tests.support.browser import PHONE, axe_violations, chromium, page_of
from tests.support.command import wait_for
from tests.support.extras import needs
from tests.support.served import ServedApp, served
from tests.support.stations import hasty, spec

needs("playwright", "axe_playwright_python")

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

TONE = "sim:tone?loop=forever&freq=800&level=-20dB"
BROKEN = "sim:noise?loop=forever&unplug@1s&for=1h"
REFUSED = "Failed to load resource"  # the console's words for an answer that is an error, or for none


def make_station(*sources: tuple[str, str], **table: Any) -> Station:
    model = load_model("default", "cpu")
    specs = [spec(name, source, **table) for name, source in sources]
    return Station(specs, {"default": model}, load=lambda name, provider: model, patience=hasty)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Station, ServedApp]]:
    """Three sources: one that is heard and keeps its events and sounds, one that is gone, one that is not there."""
    folder = tmp_path_factory.mktemp("house")
    kept = {"history": str(folder / "heard.sqlite"), "clips": str(folder / "clips"), "post_roll": 0.2}
    tables: list[tuple[str, str, dict[str, Any]]] = [
        ("kitchen", "assets/demo.ogg", kept),
        ("yard", BROKEN, {}),
        ("attic", "/nowhere/at/all.wav", {}),
    ]
    model = load_model("default", "cpu")
    specs = [spec(name, source, **table) for name, source, table in tables]
    station = Station(specs, {"default": model}, load=lambda name, provider: model)
    with served(make_app(station, Access())) as each:
        yield station, each


def text_of(page: Page, place: str) -> str:
    found: str = page.locator(place).first.inner_text()
    return found


def test_the_station_at_a_glance(browser: Browser, house: tuple[Station, ServedApp]) -> None:
    with page_of(browser, house[1].url) as page:
        kitchen = page.locator(".card", has_text="kitchen")
        kitchen.locator(".state", has_text="playing").wait_for()
        kitchen.locator(".last", has_text=re.compile("speech")).wait_for()
        page.locator(".card", has_text="yard").locator(".state", has_text="microphone gone").wait_for()
        attic = page.locator(".card", has_text="attic")
        attic.locator(".detail", has_text="no such file: /nowhere/at/all.wav").wait_for()
        assert text_of(page, ".connection") == "connected"
        levels = set()
        wait_for(
            lambda: len(levels) > 3 or levels.add(text_of(page, ".card .meter .number")), "levels that move"
        )
        assert page.locator(".card .bar").count() == 6  # two sources with three classes each
        assert page.title() == "Station · stream-classify"
        assert axe_violations(page) == []


def test_sources_come_and_go_while_the_page_is_open(browser: Browser) -> None:
    station = make_station()
    with served(make_app(station, Access())) as each, page_of(browser, each.url, allowed=(REFUSED,)) as page:
        page.locator(".empty", has_text="stream-classify serve --settings station.toml").wait_for()
        assert axe_violations(page) == []
        station.add_source(spec("shed", TONE))
        page.locator(".card", has_text="shed").locator(".number").first.wait_for()
        assert page.locator(".empty").count() == 0
        station.add_source(spec("barn", TONE))
        page.locator(".card", has_text="barn").wait_for()
        station.remove_source("shed")
        page.locator(".card", has_text="shed").wait_for(state="detached")
        page.get_by_role("link", name="barn").click()
        page.locator("canvas.spectrogram").wait_for()
        station.remove_source("barn")
        page.locator(".empty", has_text="No source of this name").wait_for()
        page.get_by_role("link", name="all sources").click()
        page.locator(".empty", has_text="No source yet").wait_for()


def test_one_source_large(browser: Browser, house: tuple[Station, ServedApp]) -> None:
    with page_of(browser, f"{house[1].url}/#/source/kitchen") as page:
        page.locator(".events tbody tr", has_text="speech").first.wait_for()
        assert text_of(page, "h1") == "kitchen"
        assert "16000 Hz" in text_of(page, ".source > .quiet")
        assert "behind" in text_of(page, ".figures")
        drawn = (
            "(canvas) => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)"
            ".data.some((value) => value)"
        )
        for picture in ("timeline", "spectrogram"):
            wait_for(lambda name=picture: page.locator(f"canvas.{name}").evaluate(drawn), f"the {picture}")
        assert axe_violations(page) == []


def test_a_kept_clip_is_played(browser: Browser, house: tuple[Station, ServedApp]) -> None:
    with page_of(browser, f"{house[1].url}/#/source/kitchen") as page:
        play = page.get_by_role("button", name=re.compile("^Play speech at")).last
        play.wait_for()
        with page.expect_response(re.compile("/page/sources/kitchen/clips/")) as answer:
            play.click()
        assert answer.value.headers["content-type"] == "audio/flac"
        page.get_by_role("button", name=re.compile("^Stop speech at")).wait_for()


def test_a_threshold_that_is_moved_holds_at_once(browser: Browser) -> None:
    station = make_station(("tone", TONE))
    with served(make_app(station, Access())) as each, page_of(browser, f"{each.url}/#/source/tone") as page:
        slider = page.get_by_role("slider", name="Threshold of music")
        slider.wait_for()
        before = float(slider.input_value())
        slider.focus()
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowLeft")
        page.locator(".said", has_text=f"music: threshold {before - 0.02:.2f}").wait_for()
        wait_for(
            lambda: station.source("tone").glance().thresholds["music"] == pytest.approx(before - 0.02),
            "the rule of the station",
        )
        # What another person does is seen too.
        station.source("tone").place_threshold("music", 0.9)
        wait_for(lambda: slider.input_value() == "0.9", "the other one's threshold")
        # A threshold below what is heard begins an event; above it, the event ends.
        noise = page.get_by_role("slider", name="Threshold of noise")
        noise.fill("0.05")
        row = page.locator(".events tbody tr", has_text="noise").first
        row.wait_for()


def test_who_may_only_read_moves_nothing(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    token = add_token(path, "kitchen", ("read",))
    station = make_station(("tone", TONE))
    app = make_app(station, Access(TokenFile(path)))
    with served(app) as each, page_of(browser, f"{each.url}/#/source/tone", allowed=(REFUSED,)) as page:
        dialog = page.get_by_role("dialog", name="This station asks for a token")
        dialog.wait_for()
        assert axe_violations(page) == []
        dialog.get_by_label("Token").fill("wrong")
        page.keyboard.press("Enter")
        dialog.get_by_role("alert").filter(has_text="not known").wait_for()
        dialog.get_by_label("Token").fill(token)
        page.keyboard.press("Enter")
        page.locator(".bar .number", has_text=re.compile(r"\d\.\d\d")).first.wait_for()
        assert page.get_by_role("slider").count() == 0
        assert token not in page.evaluate("location.href")
        assert page.evaluate("localStorage.length") == 0
        page.reload()  # the tab still knows it
        page.locator(".bar .number", has_text=re.compile(r"\d\.\d\d")).first.wait_for()


def test_a_server_that_comes_back_is_found_and_the_gap_is_shown(browser: Browser) -> None:
    words = (REFUSED, "net::")
    with served(make_app(make_station(("tone", TONE)), Access())) as first:
        port = first.address[1]
        with page_of(browser, f"{first.url}/#/source/tone", allowed=words) as page:
            page.locator(".bar .number", has_text=re.compile(r"\d\.\d\d")).first.wait_for()
            first.stop()
            page.locator(".connection", has_text="connection lost, trying again").wait_for()
            assert page.locator(".source.lost").count() == 1
            again = make_app(make_station(("tone", TONE)), Access())
            with served(again, port=port):
                page.locator(".connection", has_text=re.compile("^connected")).wait_for()
                page.locator(".source:not(.lost)").wait_for()
                page.locator(".absent", has_text="not connected for").wait_for()


VIEWS = ("#/", "#/source/kitchen", "#/day/today", "#/own", "#/nonsense")


def test_every_view_is_accessible_in_the_dark_and_fits_a_phone(
    browser: Browser, house: tuple[Station, ServedApp]
) -> None:
    """Other tests look at the views in the light, and on a desk."""
    url = house[1].url
    with page_of(browser, url, viewport=PHONE, color_scheme="dark", reduced_motion="reduce") as page:
        for view in VIEWS:
            page.goto(f"{url}/{view}")
            page.locator("main h1").wait_for()
            page.locator("main p, main canvas").last.wait_for(state="attached")
            assert axe_violations(page) == [], view
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], view


def test_all_can_be_reached_by_keys(browser: Browser, house: tuple[Station, ServedApp]) -> None:
    with page_of(browser, house[1].url) as page:
        page.get_by_role("link", name="kitchen").wait_for()
        seen = []
        for _ in range(8):
            page.keyboard.press("Tab")
            seen.append(page.evaluate("document.activeElement.textContent.trim()"))
        assert seen[:5] == ["Skip to the content", "stream-classify", "Station", "Day", "Try a sound"]
        assert seen[5:8] == ["kitchen", "yard", "attic"]
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Enter")
        page.get_by_role("slider", name="Threshold of speech").wait_for()
        assert page.evaluate("document.activeElement.tagName") == "H1"
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Threshold of speech"


def test_a_day_from_history(browser: Browser, house: tuple[Station, ServedApp]) -> None:
    with page_of(browser, f"{house[1].url}/#/day/today") as page:
        page.locator(".day-picture").wait_for()
        page.locator(".facts", has_text="listened").wait_for()
        rows = page.locator(".day-events tbody tr")
        rows.first.wait_for()
        before = rows.count()
        page.get_by_label("Class").select_option("speech")
        assert 0 < rows.count() <= before
        assert set(page.locator(".day-events td.name").all_inner_texts()) == {"speech"}
        page.get_by_label("Class").select_option("noise")
        page.get_by_role("button", name="The day before").click()
        page.locator(".empty", has_text="Nothing was recorded on this day").wait_for()
        page.get_by_role("button", name="The day after").click()
        page.locator(".day-picture").wait_for()
        assert axe_violations(page) == []


def test_numbers_are_written_as_in_the_terminal(browser: Browser) -> None:
    numbers = [
        0.0,
        0.004,
        0.0349,
        0.5,
        0.9994,
        0.9996,
        1.0,
        9.96,
        59.99,
        60.0,
        99.94,
        99.96,
        599.4,
        601.0,
        3725.5,
        40000.0,
    ]
    with served(make_app(make_station(), Access())) as each, page_of(browser, each.url) as page:
        words = page.evaluate(
            "async (numbers) => { const words = await import('/page/state/words.js');"
            "return numbers.map((each) => [words.clock(each), words.clock(each, 1), words.span(each)]); }",
            numbers,
        )
    assert words == [[clock(each), clock(each, 1), span(each)] for each in numbers]


def test_names_from_outside_are_text(browser: Browser) -> None:
    """A class may be called anything; the page shows it and does nothing else with it."""
    station = make_station(("shed", TONE), groups={"<img src=x onerror=alert(1)>": ["speech", "music"]})
    with served(make_app(station, Access())) as each, page_of(browser, each.url) as page:
        page.get_by_text("<img src=x onerror=alert(1)>").first.wait_for()
        assert page.locator("main img").count() == 0
