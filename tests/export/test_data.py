"""Reading labelled audio, splitting it, and keeping its features."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from export.data import Interval, SplitConfig, build_store, read_dataset, split_dataset
from export.data.cache import features_with_gaps
from export.data.class_folders import audio_files
from export.data.folds import grouped_folds
from export.data.splits import hash_percent
from stream.errors import DataError
from stream.features.mfcc import mfcc
from stream.features.spec import MfccSpec
from tests.support.labelled import RATE, class_folder, hash_split_lists
from tests.support.shared_data import need_data

SPEC = MfccSpec(sample_rate=RATE, n_fft=256, win_length=200, hop_length=80, n_mels=20, n_mfcc=13)


def manifest(folder: Path, text: str, *, files: tuple[str, ...] = (), name: str = "manifest.csv") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / file, np.random.default_rng(0).normal(0, 0.1, 4000), RATE)
    (folder / name).write_text(text)
    return folder / name


def test_speech_commands_layout(tmp_path: Path) -> None:
    root = class_folder(tmp_path)
    hash_split_lists(root, ("s0", "s1"), ("s2",))
    (root / "_background_noise_").mkdir()
    soundfile.write(root / "_background_noise_" / "hum.wav", np.zeros(RATE), RATE)
    data = split_dataset(read_dataset(root))
    assert data.labels == ("high", "low")
    assert [p.name for p in data.backgrounds] == ["hum.wav"]
    assert {r.group for r in data.part("validation")} == {"s0", "s1"}
    assert {r.group for r in data.part("test")} == {"s2"}
    assert len(data.recordings) == 32


def test_hash_of_speech_commands() -> None:
    # the published which_set() puts these speakers where the official lists have them
    assert hash_percent("026290a7") < 10
    assert hash_percent("00176480") >= 20


def test_official_validation_speakers_hash_below_ten_percent() -> None:
    listed = (need_data("commands") / "validation_list.txt").read_text().split()
    assert all(hash_percent(Path(name).name.split("_nohash_")[0]) < 10 for name in listed)


def test_split_keeps_groups_whole_and_classes_present(tmp_path: Path) -> None:
    rows = [(f"{c}{g}_{i}.wav", c, f"g{g}") for c in "ab" for g in range(12) for i in range(1 + g % 4)]
    text = "filename,label,speaker\n" + "".join(f"{f},{c},{g}{c}\n" for f, c, g in rows)
    data = split_dataset(read_dataset(manifest(tmp_path, text, files=tuple(r[0] for r in rows))))
    where: dict[str, set] = {}
    for recording in data.recordings:
        where.setdefault(recording.group, set()).add(recording.split)
    assert all(len(splits) == 1 for splits in where.values())
    for split in ("train", "validation", "test"):
        assert {label for r in data.part(split) for label in r.labels} == {"a", "b"}
    assert split_dataset(data).digest() == data.digest(), "a split is respected and stable"


def test_chosen_groups_and_folds(tmp_path: Path) -> None:
    files = tuple(f"{n}.wav" for n in range(12))
    text = "filename,label,fold,speaker\n" + "".join(
        f"{n}.wav,{'ab'[n % 2]},{n % 3},s{n}\n" for n in range(12)
    )
    data = read_dataset(manifest(tmp_path, text, files=files))
    split = split_dataset(data, SplitConfig(test_folds=("0",), validation_folds=("1",)))
    assert {r.fold for r in split.part("train")} == {"2"}
    split = split_dataset(data, SplitConfig(test_groups=("s3",), validation=0))
    assert [r.group for r in split.part("test")] == ["s3"]
    assert not split.part("validation")
    with pytest.raises(DataError, match="fold '9': the data has 0, 1, 2"):
        split_dataset(data, SplitConfig(test_folds=("9",)))


def test_a_leaking_speaker_is_refused_with_both_rows(tmp_path: Path) -> None:
    text = "filename,label,split,speaker\na.wav,x,train,ann\nb.wav,x,validation,ann\nc.wav,x,train,bob\n"
    data = read_dataset(manifest(tmp_path, text, files=("a.wav", "b.wav", "c.wav")))
    with pytest.raises(
        DataError, match=r"group ann: a.wav \(manifest.csv, row 2\).*b.wav \(manifest.csv, row 3\)"
    ):
        split_dataset(data)


def test_esc50_and_urbansound_as_published(tmp_path: Path) -> None:
    esc = "filename,fold,target,category,esc10,src_file,take\n1-100032-A-0.wav,1,0,dog,True,100032,A\n"
    manifest(tmp_path / "esc" / "meta", esc, name="esc50.csv")
    manifest(tmp_path / "esc" / "audio", "", files=("1-100032-A-0.wav",), name="x")
    one = read_dataset(tmp_path / "esc").recordings[0]
    assert (one.labels, one.fold, one.group) == (("dog",), "1", "100032")
    urban = "slice_file_name,fsID,start,end,salience,fold,classID,class\n100032-3-0-0.wav,100032,0,0.3,1,5,3,dog_bark\n"
    manifest(tmp_path / "urban" / "metadata", urban, name="UrbanSound8K.csv")
    manifest(tmp_path / "urban" / "audio" / "fold5", "", files=("100032-3-0-0.wav",), name="x")
    one = read_dataset(tmp_path / "urban").recordings[0]
    assert (one.labels, one.fold, one.group) == (("dog_bark",), "5", "100032")


@pytest.mark.parametrize("header", [True, False])
def test_strong_labels(tmp_path: Path, header: bool) -> None:
    rows = "a.wav\t0.1\t0.3\tdog\na.wav\t0.2\t0.4\tcat\nb.wav\t0\t0.25\tcat\n"
    path = manifest(
        tmp_path, ("filename\tonset\toffset\tevent_label\n" if header else "") + rows,
        files=("a.wav", "b.wav"), name="strong.tsv",
    )  # fmt: skip
    data = read_dataset(path)
    assert data.strong
    assert data.multi_label
    assert data.recordings[0].labels == ("cat", "dog")
    assert [(e.label, e.onset, e.offset) for e in data.recordings[0].events] == [
        ("dog", 0.1, 0.3),
        ("cat", 0.2, 0.4),
    ]


def test_several_labels_in_a_cell(tmp_path: Path) -> None:
    path = manifest(
        tmp_path, "filename,label\na.wav,dog;cat\nb.wav,dog|bird\nc.wav,\n", files=("a.wav", "b.wav", "c.wav")
    )
    data = read_dataset(path)
    assert [r.labels for r in data.recordings] == [("cat", "dog"), ("bird", "dog"), ()]
    assert data.multi_label


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("filename,label\nnone.wav,x\n", "manifest.csv, row 2: none.wav does not exist"),
        ("filename,label\na.wav,x\na.wav,y\n", "row 3: a.wav was already listed in manifest.csv, row 2"),
        ("filename,label,split\na.wav,x,later\n", "row 2: split 'later'"),
        ("filename,onset,offset,event_label\na.wav,2,1,x\n", "row 2: onset 2, offset 1"),
        ("filename,onset,offset,event_label\na.wav,now,1,x\n", "row 2: onset 'now'"),
        ("filename,animal\na.wav,x\n", "no label column"),
        ("name,label\na.wav,x\n", "row 2: no file name"),
        ("filename,label\n", "is empty"),
        ("filename,label\na.wav,\n", "no row has a label"),
        ("filename,label\na.wav,x,y\n", "row 2: 3 cells under 2 columns"),
        ("filename,label,label\na.wav,x,y\n", "row 1: two columns are named 'label'"),
        ('filename,label\na.wav,x\n"a.wav,y\n', "row 3: .*close the quote"),
        ("filename,label\na.wav,x\n" + "n" * 5000 + ".wav,x\n", "row 3: n+.wav does not exist"),
        ("filename,label\na.wav,x\n\0.wav,x\n", r"row 3: \?.wav does not exist"),
        ("filename,onset,offset,event_label\na.wav,0,,x\n", "row 2: onset '0', offset '': must be seconds"),
        ("filename,onset,offset,event_label\na.wav,0,inf,x\n", "row 2: onset 0, offset inf"),
    ],
)
def test_bad_manifests_name_the_row(tmp_path: Path, text: str, said: str) -> None:
    path = manifest(tmp_path, text, files=("a.wav",))
    with pytest.raises(DataError, match=said):
        read_dataset(path)


def test_a_manifest_that_is_not_utf_8_names_the_row(tmp_path: Path) -> None:
    path = manifest(tmp_path, "", files=("a.wav",))
    path.write_bytes("filename,label\na.wav,x\na.wav,café\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"manifest.csv, row 3: byte 0xe9 is not UTF-8; save"):
        read_dataset(path)
    path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    with pytest.raises(DataError, match=r"manifest.csv: is not text"):
        read_dataset(path)
    with pytest.raises(DataError, match=r"a.wav: is a recording; give the folder"):
        read_dataset(tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (b"low/none.wav", "line 2: low/none.wav is no recording in a class folder"),
        (b"low/" + b"n" * 5000 + b".wav", "line 2: low/n+.wav is no recording"),
        (b"/etc/hostname", "line 2: /etc/hostname is no recording"),
        (b"low/caf\xe9.wav", r"line 2: low/caf\?.wav is no recording"),
        (b"low/a\0b.wav", r"line 2: low/a\?b.wav is no recording"),
        (b"low", "line 2: low is no recording"),
    ],
    ids=lambda value: value.decode("latin-1")[:12] if isinstance(value, bytes) else "",
)
def test_a_list_with_what_is_no_recording_names_the_line(tmp_path: Path, entry: bytes, said: str) -> None:
    root = class_folder(tmp_path)
    (root / "testing_list.txt").write_bytes(b"low/s0_nohash_0.wav\n" + entry + b"\n")
    with pytest.raises(DataError, match="testing_list.txt, " + said):
        read_dataset(root)


def test_a_list_may_say_where_it_starts(tmp_path: Path) -> None:
    root = class_folder(tmp_path)
    (root / "testing_list.txt").write_text("./low/s0_nohash_0.wav\r\n\n")
    found = [r.path.name for r in read_dataset(root).recordings if r.split == "test"]
    assert found == ["s0_nohash_0.wav"]


def test_a_list_that_is_a_folder_and_names_that_cannot_be_are_told(tmp_path: Path) -> None:
    root = class_folder(tmp_path)
    (root / "testing_list.txt").mkdir()
    with pytest.raises(DataError, match=r"testing_list.txt: cannot be read: Is a directory"):
        read_dataset(root)
    with pytest.raises(DataError, match=r"n+: cannot be read: File name too long"):
        read_dataset("n" * 5000)
    with pytest.raises(DataError, match="the name of the data is empty"):
        read_dataset("")


def test_empty_and_one_file_classes(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "d")
    (root / "mute").mkdir()
    with pytest.raises(DataError, match=r"mute: the class has no audio"):
        read_dataset(root)
    soundfile.write(root / "mute" / "only.wav", np.zeros(RATE), RATE)
    with pytest.raises(DataError, match=r"class mute: only only.wav"):
        split_dataset(read_dataset(root))
    with pytest.raises(DataError, match="no folder per class"):
        read_dataset(root / "mute")


def test_labels_outside_the_card(tmp_path: Path) -> None:
    root = class_folder(tmp_path)
    with pytest.raises(DataError, match=r"s0_nohash_0.wav \(folder low\): label 'low' is not one of high"):
        read_dataset(root, ["high"])
    data = read_dataset(root, ["high"], unknown="_unknown_")
    assert data.labels == ("high", "_unknown_")
    assert {r.labels for r in data.recordings} == {("high",), ("_unknown_",)}


def test_folds_are_grouped_and_balanced(tmp_path: Path) -> None:
    data = read_dataset(class_folder(tmp_path))
    folds = grouped_folds(data.recordings, 4)
    assert sorted(set(folds)) == [0, 1, 2, 3]
    by_group: dict[str, set] = {}
    for recording, fold in zip(data.recordings, folds, strict=True):
        by_group.setdefault(recording.group, set()).add(fold)
    assert all(len(found) == 1 for found in by_group.values())
    assert np.bincount(folds).tolist() == [8, 8, 8, 8]


def test_features_are_those_of_the_runtime_and_are_cached(tmp_path: Path) -> None:
    data = read_dataset(class_folder(tmp_path / "d", speakers=3))
    calls: list[int] = []
    store = build_store(
        data.recordings, SPEC, cache=tmp_path / "c", progress=lambda done, _: calls.append(done)
    )
    for i, recording in enumerate(data.recordings):
        samples, _ = soundfile.read(recording.path, dtype="float32")
        np.testing.assert_array_equal(store[i], mfcc(samples, SPEC))
    assert isinstance(store.features.base, np.memmap) or isinstance(store.features, np.memmap)
    assert store.centres[0] == pytest.approx(SPEC.n_fft / 2 / RATE)
    count = len(calls)
    build_store(data.recordings, SPEC, cache=tmp_path / "c", progress=lambda done, _: calls.append(done))
    assert len(calls) == count, "the second time they are read, not computed"
    path = data.recordings[0].path
    soundfile.write(path, np.zeros(3000), RATE)
    again = build_store(data.recordings, SPEC, cache=tmp_path / "c")
    assert again.frames(0) == 1 + (3000 - SPEC.n_fft) // SPEC.hop_length, "a changed file is read anew"
    assert not list((tmp_path / "c").glob("*.*")), "no draft is left"


def test_bad_audio_is_listed_or_refused(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "d", speakers=2)
    (root / "low" / "bad.wav").write_bytes(b"not audio at all")
    soundfile.write(root / "low" / "short.wav", np.zeros(10), RATE)
    soundfile.write(root / "low" / "nan.wav", np.full(4000, np.nan, np.float32), RATE, subtype="FLOAT")
    data = read_dataset(root)
    store = build_store(data.recordings, SPEC, cache=tmp_path / "c")
    assert sorted(where.split()[0] for where, _ in store.skipped) == ["bad.wav", "nan.wav", "short.wav"]
    assert len(store) == len(data.recordings)
    with pytest.raises(DataError, match=r"bad.wav \(folder low\)"):
        build_store(data.recordings, SPEC, cache=tmp_path / "c", strict=True)


def test_missing_samples_as_live(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 0.1, 8000).astype(np.float32)
    samples[3000:4000] = np.nan
    features, centres = features_with_gaps(samples, SPEC)
    np.testing.assert_array_equal(
        features, np.concatenate((mfcc(samples[:3000], SPEC), mfcc(samples[4000:], SPEC)))
    )
    first_after = 1 + (3000 - SPEC.n_fft) // SPEC.hop_length
    assert centres[first_after] == pytest.approx((4000 + SPEC.n_fft / 2) / RATE)


@pytest.mark.parametrize("name", ["digits", "commands", "urban", "ambience"])
def test_real_manifests_read(name: str) -> None:
    data = read_dataset(need_data(name))
    assert len(data.recordings) == len((need_data(name) / "manifest.csv").read_text().splitlines()) - 1


def test_the_digest_of_a_data_set_changes_with_its_labels(tmp_path: Path) -> None:
    """The same files with another label, split, group or event are another data set."""
    data = read_dataset(class_folder(tmp_path))
    one, *others = data.recordings
    event = Interval(one.labels[0], 0.0, 0.1)
    changed = [
        one,
        replace(one, labels=("other",)),
        replace(one, split="test"),
        replace(one, group="someone else"),
        replace(one, events=(event,)),
        replace(one, events=(replace(event, offset=0.2),)),
    ]
    digests = [replace(data, recordings=(each, *others)).digest() for each in changed]
    assert digests[0] == data.digest()
    assert len(set(digests)) == len(changed)


def test_files_that_listening_reads_are_found_for_training(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wave", "c.M4A", "d.webm", "e.raw", "f.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in audio_files(tmp_path)] == ["a.wav", "b.wave", "c.M4A", "d.webm"]
