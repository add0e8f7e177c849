"""Label files, read again by strict readers of each format: after every event, and with any label."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from export.data.manifest import read_manifest
from stream.errors import OutputError, TryAgain, UsageError
from stream.messages import Event, SourceInfo
from stream.outputs.label_formats import FORMATS, RAVEN_COLUMNS, format_of
from stream.outputs.label_output import Labels
from stream.outputs.output import OutputContext
from stream.outputs.records import Origin
from tests.outputs.test_catalogue import context as plain_context
from tests.outputs.test_outputs import result
from tests.support.command import stream_classify
from tests.support.disk import small_disk

RATE = 16_000
Read = list[tuple[float, float, str]]
ODD = 'a\tb\n"c" <d> & --> \u2028ë;| \\e'
ODD_LINE = 'a b "c" <d> & --> ë;| \\e'


def read_audacity(text: str) -> Read:
    """Three cells a line, parted by tabs; no escapes."""
    rows = [line.split("\t") for line in lines_of(text)]
    return [(float(onset), float(offset), label) for onset, offset, label in rows]


def read_dcase(text: str) -> Read:
    """A table with these four columns, by the reader of CSV files."""
    rows = list(csv.DictReader(lines_of(text), delimiter="\t", strict=True))
    assert text.startswith("filename\tonset\toffset\tevent_label\n")
    assert all(list(row) == ["filename", "onset", "offset", "event_label"] for row in rows)
    return [(float(row["onset"]), float(row["offset"]), row["event_label"]) for row in rows]


def read_raven(text: str) -> Read:
    """A table of tabs with the columns that Raven always has, selections counted from 1."""
    header, *rows = [line.split("\t") for line in lines_of(text)]
    assert header == list(RAVEN_COLUMNS)
    tables = [dict(zip(header, row, strict=True)) for row in rows]
    assert [int(row["Selection"]) for row in tables] == list(range(1, len(rows) + 1))
    for row in tables:
        assert (row["View"], row["Channel"], row["Low Freq (Hz)"]) == ("Spectrogram 1", "1", "0.0")
        assert float(row["High Freq (Hz)"]) == RATE / 2
        assert 0 <= float(row["Score"]) <= 1
    return [(float(r["Begin Time (s)"]), float(r["End Time (s)"]), r["Annotation"]) for r in tables]


def read_webvtt(text: str) -> Read:
    """Blocks parted by empty lines; cues in the order of their beginnings, each ending after it begins."""
    head, *blocks = text.removesuffix("\n\n").split("\n\n")
    assert head == "WEBVTT"
    found: Read = []
    for block in blocks:
        times, words = block.split("\n")
        match = re.fullmatch(r"(\d{2,}):(\d\d):(\d\d\.\d{3}) --> (\d{2,}):(\d\d):(\d\d\.\d{3})", times)
        assert match
        assert not re.search("<|>|-->|&(?!amp;|lt;|gt;)", words)
        h, m, s, h2, m2, s2 = map(float, match.groups())
        begin, end = h * 3600 + m * 60 + s, h2 * 3600 + m2 * 60 + s2
        assert (found[-1][0] if found else 0.0) <= begin < end
        found.append((begin, end, words.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")))
    return found


def read_rttm(text: str) -> Read:
    """Ten words a line."""
    found: Read = []
    for line in lines_of(text):
        kind, _, channel, onset, lasts, ortho, subtype, name, confidence, lookahead = line.split(" ")
        assert (kind, channel, ortho, subtype, lookahead) == ("SPEAKER", "1", "<NA>", "<NA>", "<NA>")
        assert 0 <= float(confidence) <= 1
        assert float(lasts) > 0
        found.append((float(onset), round(float(onset) + float(lasts), 3), name))
    return found


def lines_of(text: str) -> list[str]:
    assert text == "" or text.endswith("\n")
    return text.split("\n")[:-1]


READERS: dict[str, Callable[[str], Read]] = {
    "a.txt": read_audacity,
    "a.tsv": read_dcase,
    "a.selections.txt": read_raven,
    "b.raven.TXT": read_raven,
    "a.vtt": read_webvtt,
    "a.rttm": read_rttm,
}
each_format = pytest.mark.parametrize("name", READERS)


def context() -> OutputContext:
    return OutputContext(
        origin=Origin("two words.wav", "m", "0"),
        source=SourceInfo("two words.wav", RATE),
        labels=("a",),
        detector=plain_context().detector,
        sample_rate=RATE,
    )


def event(number: int, onset: float, offset: float | None, label: str = "dog", **changes: Any) -> Event:
    end = None if offset is None else round(offset * RATE)
    return Event(number, label, round(onset * RATE), end, 0.9, 0.5, RATE, 0, **changes)


def read(path: Path) -> Read:
    return READERS[path.name](path.read_bytes().decode())


def test_every_format_has_a_reader_here() -> None:
    assert {format_of(name).name for name in READERS} == {each.name for each in FORMATS}


@each_format
def test_the_file_is_valid_after_every_event(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    labels = Labels(context(), labels=str(path))
    assert read(path) == []
    told: Read = []
    # overlapping events end in another order than they begin
    for number, (onset, offset) in enumerate(
        [(1, 2.5), (4, 5), (3, 6), (0.5, 7), (3, 8.125), (3700, 3701), (9, 3702)]
    ):
        labels.result(result(event(number, onset, None)))
        labels.result(result(event(number, onset, offset, f"dog{number}")))
        told.append((float(onset), float(offset), f"dog{number}"))
        assert sorted(read(path)) == sorted(told)
        assert [each.name for each in tmp_path.iterdir()] == [name]
    labels.result(result(event(8, 4000, 4001, "x"), event(9, 3999, 4002, "y")))
    labels.close()
    labels.close()
    labels.result(result(event(10, 4000, 4001, "late")))
    assert sorted(read(path))[-2:] == [(3999.0, 4002.0, "y"), (4000.0, 4001.0, "x")]


@each_format
def test_odd_labels_stay_one_label(name: str, tmp_path: Path) -> None:
    labels = Labels(context(), labels=str(tmp_path / name))
    for number, label in enumerate([ODD, "", "\n", "plain"]):
        labels.result(result(event(number, number, number + 0.5, label)))
    labels.close()
    found = [label for _, _, label in read(tmp_path / name)]
    if name.endswith(".rttm"):
        assert found == [ODD_LINE.replace(" ", "_"), "?", "?", "plain"]
    else:
        assert found == [ODD_LINE, "?", "?", "plain"]


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not installed")
def test_ffmpeg_reads_webvtt(tmp_path: Path) -> None:
    labels = Labels(context(), labels=str(tmp_path / "a.vtt"))
    for number, (onset, offset) in enumerate([(4, 5), (1, 6), (3700.25, 3701)]):
        labels.result(result(event(number, onset, offset)))
    labels.close()
    command = ["ffprobe", "-v", "error", "-show_packets", "-of", "json", str(tmp_path / "a.vtt")]
    done = subprocess.run(command, capture_output=True, check=True, timeout=30)
    packets = json.loads(done.stdout)["packets"]
    assert done.stderr == b""
    assert [(p["pts_time"], p["duration_time"]) for p in packets] == [
        ("1.000000", "5.000000"),
        ("4.000000", "1.000000"),
        ("3700.250000", "0.750000"),
    ]


def test_training_reads_dcase_labels(tmp_path: Path) -> None:
    (tmp_path / "two words.wav").touch()
    labels = Labels(context(), labels=str(tmp_path / "a.tsv"))
    labels.result(result(event(0, 1, 2, 'a "dog"')))
    labels.close()
    (recording,) = read_manifest(tmp_path / "a.tsv").recordings
    assert recording.events is not None
    assert [(e.label, e.onset, e.offset) for e in recording.events] == [('a "dog"', 1.0, 2.0)]


@pytest.mark.parametrize("path", ["labels", "a.csv", "a.txt.gz", "", " "])
def test_a_name_that_says_no_format(path: str) -> None:
    with pytest.raises(UsageError, match="--labels") as caught:
        Labels(context(), labels=path)
    assert not path.strip() or all(each.suffixes[0] in str(caught.value) for each in FORMATS)


@each_format
def test_what_another_run_wrote_is_left_alone(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    Labels(context(), labels=str(path)).close()
    labels = Labels(context(), labels=str(path))  # there was no label in it
    with pytest.raises(OutputError, match="another instance"):
        Labels(context(), labels=str(path))
    labels.result(result(event(0, 1, 2)))
    labels.close()
    before = path.read_bytes()
    with pytest.raises(OutputError, match="is there already"):
        Labels(context(), labels=str(path))
    assert path.read_bytes() == before


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder.txt").mkdir()
    for path in (tmp_path / "folder.txt", tmp_path / "none" / "a.txt", Path("/dev/full.txt/a.txt")):
        with pytest.raises(OutputError, match=r"--labels .*name a file that can be written"):
            Labels(context(), labels=str(path))


@each_format
def test_a_full_disk_is_tried_again_and_nothing_is_lost_or_doubled(name: str, tmp_path: Path) -> None:
    with small_disk(tmp_path, 64):
        path = tmp_path / name
        labels = Labels(context(), labels=str(path))
        labels.result(result(event(0, 5, 6, "first")))
        filler = tmp_path / "filler"
        with open(filler, "wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4096)):
                pass
        late = result(event(1, 1, 7, "x" * 5000), event(2, 2, 7, "y" * 5000))
        with pytest.raises(TryAgain, match=re.escape(name)):
            labels.result(late)
        assert read(path) == [(5.0, 6.0, "first")]
        filler.unlink()
        labels.result(late)
        labels.close()
        assert sorted(label[0] for _, _, label in read(path)) == ["f", "x", "y"]
        assert [each.name for each in tmp_path.iterdir()] == [name]


def test_the_command_line_writes_all_of_them_at_once(tmp_path: Path) -> None:
    words = [word for name in READERS for word in ("--labels", name)]
    done = stream_classify("--demo", "--fast", "--jsonl", *words, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    events = [record for line in done.stdout.splitlines() if (record := json.loads(line))["type"] == "event"]
    told = sorted((e["onset"], e["offset"], e["label"]) for e in events)
    assert len(told) > 3
    for name in READERS:
        assert sorted(read(tmp_path / name)) == told
    again = stream_classify("--demo", "--fast", "--labels", "a.txt", cwd=tmp_path)
    assert again.returncode == 7
    assert "is there already" in again.stderr
    unknown = stream_classify("--demo", "--labels", "a.doc", cwd=tmp_path)
    assert unknown.returncode == 2
    assert ".rttm (RTTM)" in unknown.stderr
