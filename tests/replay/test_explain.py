"""explain: the reasons in words and pictures, and the moments that it is asked for."""

from __future__ import annotations

import io
import re
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from stream.classifier import StreamClassifier
from stream.dashboard.theme import Theme
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.errors import ModelError, SessionInvalid, UsageError
from stream.inference.session import Model
from stream.messages import Chunk
from stream.replay.explained_svg import to_picture
from stream.replay.explanation import Explanation, explain
from stream.replay.finding import find_event, moment, recorded_model
from stream.replay.spectrum import spectrum
from stream.replay.terminal_view import view
from stream.replay.wording import sentences
from stream.runner import run
from stream.session.recorded import RecordedSession
from tests.support.command import stream_classify
from tests.support.recording import Played, record, recorder
from tests.support.sounds import demo

RATE = 16000
RULES = DetectorSpec(default=ClassRule(threshold=0.3, peak_threshold=0.7, min_on=0.6, refractory=3.0))


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> RecordedSession:
    """Speech twice, music, a stretch without numbers and one that was lost."""
    sound = demo(RATE)[: 24 * RATE].copy()
    sound[20 * RATE : 20 * RATE + 12000] = np.nan
    chunks = [
        Chunk(sound[at : at + 800], at + 2 * RATE * (at >= 22 * RATE), RATE, 700.0 + at / RATE)
        for at in range(0, len(sound), 800)
    ]
    classifier = StreamClassifier(Model.bundled("default"), RULES)
    return record(tmp_path_factory.mktemp("s") / "night", classifier, chunks, RATE, snapshot_seconds=6.0)


@pytest.fixture(scope="module")
def found(session: RecordedSession) -> Explanation:
    return explain(session, Model.bundled("default"), 0.0, 24.0)


def test_every_reason_in_words(found: Explanation) -> None:
    told = "\n".join(f"{kind}: {text}" for kind, text in sentences(found))
    for wanted in (
        r"event: speech 4\.2\d to 7\.\d\d s: event e0, reached 1\.00, reported 0\.6\d s after it began",
        r"miss: noise .*: no event: warm-up: reached",
        r"miss: speech 8\.0\d to 10\.\d\d s: no event: within the refractory time of event e0, which lasts until 10\.",
        r"miss: speech .*: no event: on for 0\.\d\d s of the 0\.60 s that min-on asks for",
        r"miss: .*: no event: reached 0\.\d\d, below the peak threshold 0\.7",
        r"gap: 20\.00 to 20\.75 s: 0\.75 s of sound missing, no numbers",
        r"gap: 22\.00 to 24\.00 s: 2 s of sound missing, lost by the source",
    ):
        assert re.search(wanted, told), (wanted, told)


def test_a_class_that_stayed_below(session: RecordedSession) -> None:
    found = explain(session, Model.bundled("default"), 8.2, 10.0)
    told = [text for kind, text in sentences(found) if kind == "class"]
    assert re.fullmatch(r"music: reached 0\.\d\d at \d\.\d\d s, below the threshold 0\.3", told[0])


def test_a_window_tells_the_same_as_all(session: RecordedSession, found: Explanation) -> None:
    """From the snapshot before it; an event that began before that has its end only."""
    part = explain(session, Model.bundled("default"), 13.0, 19.0)
    inside = (found.at >= 13.0) & (found.at < 19.0)
    np.testing.assert_array_equal(part.at, found.at[inside])
    np.testing.assert_array_equal(part.averages, found.averages[inside])
    np.testing.assert_array_equal(part.probs, found.probs[inside])
    assert part.misses == [miss for miss in found.misses if miss.end > 13 * RATE and miss.start < 19 * RATE]
    np.testing.assert_array_equal(part.sound, found.sound[13 * RATE : 19 * RATE])


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_it_fits_80_columns_without_colour(found: Explanation, encoding: str) -> None:
    screen = view(found, 80, Theme("none", encoding), "night: 0 to 24 s")
    shown = io.StringIO()
    Console(file=shown, width=80, no_color=True, color_system=None, legacy_windows=False).print(screen)
    lines = shown.getvalue().splitlines()
    assert "\x1b" not in shown.getvalue()
    assert all(len(line) <= 80 for line in lines)
    assert {"sound", "spectrum", "speech", "music", "noise"} <= {line.split(" ")[0] for line in lines}
    assert any(("/" if encoding == "ascii" else "╱") in line for line in lines)
    if encoding == "ascii":
        assert shown.getvalue().isascii()


def test_the_picture_is_svg_with_all_that_was_said(found: Explanation) -> None:
    root = ET.fromstring(to_picture(found, "night <&> \x1b[31m"))
    texts = [each.text or "" for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[0] == "night <&> ?[31m"
    assert {"sound", "spectrum", "speech", "music", "noise", "e0", "0.7"} <= set(texts)
    joined = " ".join(texts)
    for _, text in sentences(found):
        assert text in joined
    ground = root[0]
    height = float(ground.attrib["height"])
    assert all(0 < float(each.attrib["y"]) < height for each in root.iter("{http://www.w3.org/2000/svg}text"))


def test_the_spectrum_shows_a_tone_where_it_is() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)
    tone[8000:9000] = np.nan
    found = spectrum(tone, RATE, 20, 30)
    strongest = found[:, 0].argmax()
    edges = np.geomspace(60, 8000, 31)
    assert edges[strongest] <= 1000 <= edges[strongest + 1]
    assert np.isnan(found[:, 10]).all()
    assert not np.isnan(found[:, 5]).any()


def test_moments(session: RecordedSession) -> None:
    assert moment(session, "e12") == 12
    assert isinstance(moment(session, "e12"), int)
    assert moment(session, "83.5") == moment(session, "83.5s") == 83.5
    # The first anchor: captured at 700 s of the clock that stood at 700.5 when it was 1_790_000_000.25.
    at = moment(session, datetime.fromtimestamp(1_790_000_005.0).isoformat())
    assert at == pytest.approx(5.25, abs=0.1)
    clock = datetime.fromtimestamp(1_790_000_005.0)
    assert moment(session, clock.strftime("%H:%M:%S")) == pytest.approx(at)
    for wrong in (
        "",
        "noon",
        "12:99",
        "e",
        "e-1",
        "-3",
        "nan",
        "9" * 30,
        "1e5",
        "../x",
        "e" + "9" * 40,
        "0001-01-01",
    ):
        with pytest.raises(UsageError):
            moment(session, wrong)
    assert find_event(session, 0).label == "speech"
    with pytest.raises(UsageError, match=r"e99: not in session .* there are e0 to e"):
        find_event(session, 99)


def test_a_moment_that_was_marked_is_shown(tmp_path: Path) -> None:
    sound = demo(RATE)[: 3 * RATE]
    classifier = StreamClassifier(Model.bundled("small"))
    source = Played([], RATE)
    made = recorder(tmp_path / "s", classifier, source.info())

    def chunks() -> Iterator[Chunk]:
        for at in range(0, len(sound), 800):
            if at == 2 * RATE:  # a second and a half after the first anchor: see the clocks of `recorder`
                made.mark(1_790_000_000.25 - 0.5 + 1.5, "door\x1b[31m")
            yield Chunk(sound[at : at + 800], at, RATE, 700.0 + (at + 800) / RATE)

    run(Played(chunks(), RATE), classifier, [made])
    found = explain(RecordedSession(tmp_path / "s"), Model.bundled("small"), 0.0, 3.0)
    ((at, text),) = found.marks
    assert at == pytest.approx(1.5)
    assert ("mark", "1.50 s: marked: door?[31m") in list(sentences(found))
    assert "1.50 s: marked: door?[31m" in to_picture(found, "")
    assert text == "door\x1b[31m"


def test_nothing_there(session: RecordedSession) -> None:
    with pytest.raises(UsageError, match="ends at 26"):
        explain(session, Model.bundled("default"), 100.0, 110.0)


def test_the_model_is_found_by_its_digest(session: RecordedSession, tmp_path: Path) -> None:
    import msgspec

    description = session.description
    assert recorded_model(description).name == "default.onnx"
    moved = msgspec.structs.replace(description, model_path="/nowhere/default.onnx")
    assert recorded_model(moved).name == "default.onnx"  # the bundled one is the same
    changed = tmp_path / "m.onnx"
    changed.write_bytes(b"other")
    lost = msgspec.structs.replace(description, model_path=str(changed), model_sha256="0" * 64)
    with pytest.raises(ModelError, match=r"m\.onnx is another file now; give the file with --model"):
        recorded_model(lost)


def test_the_commands(session: RecordedSession, tmp_path: Path) -> None:
    folder, picture = str(session.folder), tmp_path / "why.svg"
    done = stream_classify("explain", folder, "e0", "-o", str(picture))
    assert done.returncode == 0, done.stderr
    assert "night, event e0, speech: " in done.stdout
    assert "reported 0.6" in done.stdout
    ET.parse(picture)
    done = stream_classify("replay", folder, "--chunk", "random", "--from", "s2", "--jsonl", "-", "--onsets")
    assert done.returncode == 0, done.stderr
    assert re.search(r"identical: \d+ events, \d+ rows", done.stderr)
    assert done.stdout.startswith('{"type":')
    done = stream_classify("replay", folder, "--model", "small")
    assert done.returncode == 0, done.stderr
    assert re.match(r"small: \d+ events as recorded, \d+ moved, \d+ gone, \d+ new\n", done.stdout)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["explain", "SESSION", "noon"], 2, "want an event as e12"),
        (["explain", "SESSION", "e77"], 2, "e77: not in session"),
        (["explain", "SESSION", "5", "-o", "why.png"], 2, "why.svg"),
        (["explain", "SESSION", "5", "-m", "small"], 5, "another model"),
        (["replay", "nothing"], 3, "no such folder"),
        (["replay", "SESSION", "--from", "s99"], 2, "there are s1"),
        (["replay", "SESSION", "--from", "5000"], 2, "ends at "),
        (["replay", "SESSION", "--chunk", "0"], 2, "--chunk '0'"),
        (["replay", "SESSION", "--scores"], 2, "--jsonl"),
        (["replay", "SESSION", "--jsonl", "SESSION/x"], 2, "in the session itself"),
    ],
)
def test_wrong_words(
    session: RecordedSession, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, said: str
) -> None:
    from click.testing import CliRunner

    from stream.cli import exit_code
    from stream.cli.app import app
    from stream.errors import StreamClassifyError

    done = CliRunner().invoke(app, [word.replace("SESSION", str(session.folder)) for word in words])
    error = done.exception
    assert isinstance(error, StreamClassifyError), (error, done.output)
    assert exit_code(error) == code
    assert said in str(error)


def test_a_replay_that_differs_ends_with_1_and_says_what_differs(
    session: RecordedSession, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(session.folder, tmp_path / "copy"))
    text = (copy / "session.json").read_text()
    (copy / "session.json").write_text(
        text.replace('"min_on": 0.6', '"min_on": 0.1').replace('"onnxruntime": "', '"onnxruntime": "0.')
    )
    done = stream_classify("replay", str(copy))
    assert done.returncode == 1
    assert "different: event 0" in done.stdout
    assert "onnxruntime: 0." in done.stdout
    (copy / "000002" / "scores.bin").write_bytes(b"")
    done = stream_classify("replay", str(copy), "--from", "7")
    assert done.returncode == 3
    assert "000002/scores.bin" in done.stderr
    with pytest.raises(SessionInvalid):
        RecordedSession(tmp_path)
