"""The browser's own sound: its microphone and a recording, heard by the station exactly as offline."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile

from stream.classifier import StreamClassifier
from stream.cli.models import load_model
from stream.dashboard.words import clock, span
from stream.messages import Chunk, Event, Result
from stream.recording import merge
from stream.server.access.access import Access
from stream.server.access.tokens import TokenFile, add_token
from stream.server.http.app import make_app
from stream.server.socket.checksum import RowsChecksum
from stream.server.station import Station
from tests.support.browser import axe_violations, chromium, page_of
from tests.support.command import ROOT, wait_for
from tests.support.extras import needs
from tests.support.served import ServedApp, served

needs("playwright", "axe_playwright_python")

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

DEMO = ROOT / "assets" / "demo.ogg"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Its microphone hears four seconds of the demo recording, with speech in them, again and again."""
    samples, rate = soundfile.read(DEMO, dtype="int16", start=4 * 16000, stop=8 * 16000)
    path = tmp_path_factory.mktemp("microphone") / "speech.wav"
    soundfile.write(path, samples, rate)
    with chromium(path) as found:
        yield found


@pytest.fixture(scope="module")
def station() -> Iterator[ServedApp]:
    model = load_model("default", "cpu")
    with served(make_app(Station((), {"default": model}, load=load_model), Access())) as each:
        yield each


class Frames:
    """All that goes over the page's WebSocket."""

    def __init__(self, page: Page) -> None:
        self.sent: list[Any] = []
        self.received: list[dict[str, Any]] = []
        self.sound: list[bytes] = []
        page.on("websocket", self._opened)

    def _opened(self, socket: Any) -> None:
        socket.on("framesent", self._sent)
        socket.on("framereceived", lambda data: self.received.append(json.loads(data)))

    def _sent(self, data: str | bytes) -> None:
        if isinstance(data, bytes):
            self.sound.append(data)
        else:
            self.sent.append(json.loads(data))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.received if message["type"] == kind]


def heard(seconds: int) -> re.Pattern[str]:
    """What the page says when it has heard so much, or more."""
    return re.compile(rf"0:(0[{seconds}-9]|[1-5]\d) heard")


def offline(samples: np.ndarray[Any, Any], rate: int) -> Result:
    alone = StreamClassifier(load_model("default", "cpu"))
    return merge([alone.push(Chunk(samples, 0, rate)), alone.flush()], alone)


def shown_events(page: Page) -> list[tuple[str, ...]]:
    """When, class, length and peak of each row of the table, the oldest first."""
    rows = [row.locator("td").all_inner_texts() for row in page.locator(".events tbody tr").all()]
    return [tuple(text.strip() for text in row[:4]) for row in reversed(rows)]


def as_shown(event: Event) -> tuple[str, ...]:
    assert event.offset_s is not None
    length = span(event.offset_s - event.onset_s) + (", cut" if event.cut else "")
    return clock(event.onset_s, 1), event.label, length, f"{round(event.peak, 4):.2f}"


def test_the_microphone_is_heard_as_offline(browser: Browser, station: ServedApp) -> None:
    with page_of(browser, f"{station.url}/#/own") as page:
        frames = Frames(page)
        page.get_by_role("button", name="Listen").click()
        page.locator(".said", has_text=heard(5)).wait_for()
        assert axe_violations(page) == []
        page.get_by_role("button", name="Stop").click()
        page.locator(".said", has_text=re.compile("^Heard 0:")).wait_for()
        wait_for(lambda: bool(frames.of("end")), "the end")
        page.locator(".events tr.on").wait_for(state="detached")
        events = shown_events(page)
        page.get_by_role("button", name="Listen").wait_for()

    (hello, *_), (ready,), (end,) = frames.sent, frames.of("ready"), frames.of("end")
    samples = np.frombuffer(b"".join(frames.sound), "<f4")
    assert end["position"] == len(samples) > 4 * hello["rate"]
    assert end["lost"] == end["left_out"] == end["repaired"] == 0
    want = offline(samples, hello["rate"])

    checksum = RowsChecksum()
    checksum.add(want.scores)
    assert end["checksum"] == checksum.text  # of every row, to the bit
    rows = dict(zip(want.scores.sample.tolist(), want.scores.probs.tolist(), strict=True))
    got = [
        (sample, probs)
        for message in frames.of("scores")
        for sample, probs in zip(message["sample"], message["probs"], strict=True)
    ]
    assert len(got) > 50
    assert got == [(sample, [round(p, 4) for p in rows[sample]]) for sample, _ in got]
    assert tuple(ready["labels"]) == want.labels
    whole = [event for event in want.events if event.offset is not None]
    assert "speech" in {event.label for event in whole}
    assert events == [as_shown(event) for event in whole]


def test_a_recording_is_heard_as_offline(browser: Browser, station: ServedApp) -> None:
    samples, rate = soundfile.read(DEMO, dtype="float32")
    whole = sorted(offline(samples, rate).events, key=lambda event: event.onset)
    whole = [event for event in whole if event.offset is not None]
    with page_of(browser, f"{station.url}/#/own") as page:
        page.locator("#file").set_input_files(DEMO)
        page.locator(".said", has_text=f"demo.ogg: 1:29 heard, {len(whole)} events").wait_for()
        assert shown_events(page) == [as_shown(event) for event in whole]
        assert page.locator("progress").count() == 1
        assert not page.locator("progress").is_visible()
        assert axe_violations(page) == []


def test_a_recording_is_dropped_and_a_broken_one_refused(
    browser: Browser, station: ServedApp, tmp_path: Path
) -> None:
    with page_of(browser, f"{station.url}/#/own", allowed=("Failed to load resource",)) as page:
        data = page.evaluate_handle(
            "() => { const data = new DataTransfer();"
            "data.items.add(new File(['no sound at all'], 'letter.wav')); return data; }"
        )
        page.dispatch_event(".drop", "drop", {"dataTransfer": data})
        page.locator(".said.problem", has_text="letter.wav").wait_for()
        page.locator("#file").set_input_files(DEMO)
        page.locator(".said", has_text=re.compile("demo.ogg: .* events")).wait_for()
        assert page.locator(".said.problem").count() == 0


def test_a_recording_can_be_stopped(browser: Browser, station: ServedApp, tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    soundfile.write(path, np.zeros(16000 * 3600, np.int16), 16000)
    with page_of(browser, f"{station.url}/#/own", allowed=("Failed to load resource", "net::")) as page:
        page.locator("#file").set_input_files(path)
        page.get_by_role("button", name="Stop").click()
        page.locator(".said", has_text="Stopped.").wait_for()
        assert not page.locator("progress").is_visible()


class Cut:
    """Stands between the page and the station, notes all sound by its place, and cuts the connection when asked to."""

    def __init__(self, page: Page) -> None:
        self.pieces: dict[int, bytes] = {}
        self.hellos: list[dict[str, Any]] = []
        self.messages: list[dict[str, Any]] = []
        self.readies: list[dict[str, Any]] = []
        self._next = 0
        self._open: Any = None
        page.route_web_socket(re.compile("/v1/stream"), self._opened)

    def _opened(self, socket: Any) -> None:
        self._open = socket
        station = socket.connect_to_server()
        socket.on_message(lambda data: self._sent(station, data))
        station.on_message(lambda data: self._received(socket, data))

    def _sent(self, station: Any, data: str | bytes) -> None:
        if isinstance(data, str):
            self.hellos += [message for message in [json.loads(data)] if message["type"] == "hello"]
        else:
            self.pieces[self._next] = data
            self._next += len(data) // 4
        station.send(data)

    def _received(self, socket: Any, data: str) -> None:
        message = json.loads(data)
        if message["type"] == "ready":
            self.readies.append(message)
            self._next = message["position"]
        self.messages.append(message)
        socket.send(data)

    def now(self) -> None:
        self._open.close(code=1011, reason="cut")

    def samples(self) -> np.ndarray[Any, Any]:
        """All that was sent, each sample once; what was sent again must be the same."""
        length = max(start + len(data) // 4 for start, data in self.pieces.items())
        found = np.full(length, np.nan, np.float32)
        for start, data in sorted(self.pieces.items()):
            block = np.frombuffer(data, "<f4")
            before = found[start : start + len(block)]
            np.testing.assert_array_equal(before[~np.isnan(before)], block[~np.isnan(before)])
            found[start : start + len(block)] = block
        return found


def test_a_broken_connection_goes_on_without_losing_a_sample(browser: Browser, station: ServedApp) -> None:
    with page_of(browser, "about:blank") as page:
        cut = Cut(page)
        page.goto(f"{station.url}/#/own")
        page.get_by_role("button", name="Listen").click()
        page.locator(".said", has_text=heard(2)).wait_for()
        cut.now()
        page.locator(".said", has_text=heard(4)).wait_for()
        page.get_by_role("button", name="Stop").click()
        page.locator(".said", has_text=re.compile("^Heard 0:")).wait_for()
        page.locator(".events tr.on").wait_for(state="detached")
        events = shown_events(page)
    assert [ready["resumed"] for ready in cut.readies] == [False, True]
    assert cut.hellos[1]["resume"] == cut.readies[0]["resume"]
    samples, end = cut.samples(), cut.messages[-1]
    assert not np.isnan(samples).any()
    assert (end["type"], end["position"], end["lost"]) == ("end", len(samples), 0)
    want = offline(samples, cut.hellos[0]["rate"])
    checksum = RowsChecksum()
    checksum.add(want.scores)
    assert end["checksum"] == checksum.text
    assert events == [as_shown(event) for event in want.events if event.offset is not None]


def test_a_station_that_begins_anew_is_told_where_the_sound_is(browser: Browser) -> None:
    model = load_model("default", "cpu")
    with served(make_app(Station((), {"default": model}, load=load_model), Access())) as first:
        port = first.address[1]
        with page_of(browser, f"{first.url}/#/own", allowed=("WebSocket", "net::")) as page:
            frames = Frames(page)
            page.get_by_role("button", name="Listen").click()
            page.locator(".said", has_text=heard(2)).wait_for()
            first.stop()
            page.locator(".said", has_text="The connection was lost; trying again").wait_for()
            page.locator(".connection", has_text="connection lost").wait_for()
            again = make_app(Station((), {"default": model}, load=load_model), Access())
            with served(again, port=port):
                page.locator(".connection", has_text="connected").wait_for()
                page.get_by_role("button", name="Stop").click()
                page.locator(".said", has_text=re.compile("^Heard 0:")).wait_for()
    ready = frames.of("ready")[-1]
    assert not ready["resumed"]
    assert ready["position"] > frames.of("ready")[0]["position"], "the new stream begins where the sound is"
    assert frames.of("end")


def test_who_may_only_send_sound_tries_a_sound_and_sees_no_source(browser: Browser, tmp_path: Path) -> None:
    token = add_token(tmp_path / "tokens", "visitor", ("listen",))
    model = load_model("default", "cpu")
    station = Station((), {"default": model}, load=load_model)
    with (
        served(make_app(station, Access(TokenFile(tmp_path / "tokens")))) as each,
        page_of(browser, f"{each.url}/#/own", allowed=("Failed to load resource",)) as page,
    ):
        page.get_by_role("button", name="Listen").click()
        dialog = page.get_by_role("dialog", name="This station asks for a token")
        dialog.get_by_label("Token").fill(token)
        page.keyboard.press("Enter")
        page.locator(".said", has_text=heard(1)).wait_for()
        page.get_by_role("link", name="Station", exact=True).click()
        page.locator(".problem", has_text="token visitor does not grant read").wait_for()
        assert axe_violations(page) == []
