"""What a person says of clips is on the disk at once, and is data for training and teaching."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from export.data.dataset import read_dataset
from export.teaching.examples import audio_files
from stream.errors import DataError, OutputError
from stream.outputs.clip_record import ClipRecord, read_clip_record
from stream.outputs.retention import REVIEWS
from stream.review.verdicts import Verdict, Verdicts, is_reviewed, reviewed_files
from tests.support.clips import write_clip

RIGHT, WRONG = Verdict("right", "dog"), Verdict("wrong", "")


def record_of(path: Path) -> ClipRecord:
    record = read_clip_record(path)
    assert record is not None
    return record


def judged(folder: Path, *verdicts: Verdict, wall: float | None = 1e9) -> list[Path]:
    """Clips of a dog, one for each verdict."""
    store = Verdicts(folder, wall=lambda: 0.0)
    paths = [write_clip(folder, number, "dog", wall=wall) for number, _ in enumerate(verdicts)]
    for path, verdict in zip(paths, verdicts, strict=True):
        store.put(path.name, record_of(path), verdict)
    return paths


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / REVIEWS, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def test_a_row_for_each_clip(tmp_path: Path) -> None:
    first, second, third = judged(tmp_path, RIGHT, WRONG, Verdict("other", 'câ"t, big'))
    assert rows(tmp_path) == [
        {
            "filename": first.name,
            "label": "dog",
            "onset": "0.500",
            "offset": "1.500",
            "verdict": "right",
            "event": "dog",
            "peak": "0.9000",
            "group": "hall 2001-09-09T01:4",
            "reviewed": "1970-01-01T00:00:00.000Z",
        },
        {
            **rows(tmp_path)[0],
            "filename": second.name,
            "label": "",
            "onset": "",
            "offset": "",
            "verdict": "wrong",
        },
        {**rows(tmp_path)[0], "filename": third.name, "label": 'câ"t, big', "verdict": "other"},
    ]
    again = Verdicts(tmp_path)
    assert [again.of(path.name) for path in (first, second, third)] == [
        RIGHT,
        WRONG,
        Verdict("other", 'câ"t, big'),
    ]
    assert again.of("no such clip") is None


def test_it_can_be_changed_and_taken_back(tmp_path: Path) -> None:
    (path,) = judged(tmp_path, RIGHT)
    store = Verdicts(tmp_path)
    store.put(path.name, record_of(path), WRONG)
    assert Verdicts(tmp_path).all == {path.name: WRONG}
    store.put(path.name, record_of(path), None)
    assert Verdicts(tmp_path).all == {}
    assert rows(tmp_path) == []
    store.put(path.name, record_of(path), RIGHT)
    assert Verdicts(tmp_path).all == {path.name: RIGHT}


def test_two_people_at_a_time_keep_each_others_rows_and_columns(tmp_path: Path) -> None:
    first, second = (write_clip(tmp_path, number, "dog") for number in range(2))
    one, other = Verdicts(tmp_path), Verdicts(tmp_path)
    one.put(first.name, record_of(first), RIGHT)
    text = (tmp_path / REVIEWS).read_text().splitlines()
    (tmp_path / REVIEWS).write_text(f"{text[0]},remark\n{text[1]},loud\n")
    other.put(second.name, record_of(second), WRONG)
    assert [(row["verdict"], row["remark"]) for row in rows(tmp_path)] == [("right", "loud"), ("wrong", "")]


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b"\xff\xfe\x00", b'filename,label,verdict\n"a'])
def test_a_file_of_somebody_else_is_left_alone(content: bytes, tmp_path: Path) -> None:
    (tmp_path / REVIEWS).write_bytes(content)
    with pytest.raises(OutputError, match=r"review\.csv: .*move it away"):
        Verdicts(tmp_path)
    assert (tmp_path / REVIEWS).read_bytes() == content


def test_training_reads_right_ones_as_events_and_wrong_ones_as_sound_without(tmp_path: Path) -> None:
    right, wrong, other = judged(tmp_path, RIGHT, WRONG, Verdict("other", "cat"))
    write_clip(tmp_path, 9, "dog")  # not judged: nobody knows
    data = read_dataset(tmp_path)
    assert data.labels == ("cat", "dog")
    found = {each.path: [(e.label, e.onset, e.offset) for e in each.events or ()] for each in data.recordings}
    assert found == {right: [("dog", 0.5, 1.5)], wrong: [], other: [("cat", 0.5, 1.5)]}
    assert all(recording.events is not None for recording in data.recordings)
    assert {recording.group for recording in data.recordings} == {"hall 2001-09-09T01:4"}
    assert read_dataset(tmp_path / REVIEWS).recordings == data.recordings


def test_clips_of_a_recording_are_grouped_by_ten_minutes_of_it(tmp_path: Path) -> None:
    store = Verdicts(tmp_path)
    for number in (0, 299, 300):
        path = write_clip(tmp_path, number, "dog")
        store.put(path.name, record_of(path), RIGHT)
    assert [row["group"] for row in rows(tmp_path)] == ["hall 0", "hall 0", "hall 1"]


def test_teaching_takes_what_was_asked_for(tmp_path: Path) -> None:
    right, wrong, other = judged(tmp_path, RIGHT, WRONG, Verdict("other", "cat"))
    for place in (tmp_path, tmp_path / REVIEWS):
        assert is_reviewed(place)
        assert audio_files([place], said="wrong") == [wrong]
        assert audio_files([place], label="dog") == [right]
        assert audio_files([place], label="cat") == [other]
        with pytest.raises(DataError, match="judged to be cow; see stream-classify review"):
            audio_files([place], label="cow")
    assert audio_files([tmp_path]) == [right, wrong, other]
    wrong.unlink()
    assert reviewed_files(tmp_path) == [right, other]
    assert not is_reviewed(tmp_path / "elsewhere")
