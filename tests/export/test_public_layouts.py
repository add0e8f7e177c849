"""Data sets as people have them: split folders, leftovers, and the manifests of public data sets."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from export.data import read_dataset
from export.data.recording import SPLITS, Dataset
from stream.errors import DataError

RATE = 8000
GUIDE = Path(__file__).resolve().parents[2] / "export" / "README.md"

# name -> (audio files, {manifest: text}, what to open, recordings, classes)
LAYOUTS: dict[str, tuple[list[str], dict[str, str], str, int, tuple[str, ...]]] = {
    "ESC-50": (
        ["audio/1-100032-A-0.wav", "audio/2-100210-B-36.wav", "audio/1-100032-B-0.wav"],
        {
            "meta/esc50.csv": "filename,fold,target,category,esc10,src_file,take\n"
            "1-100032-A-0.wav,1,0,dog,True,100032,A\n2-100210-B-36.wav,2,36,vacuum_cleaner,False,100210,B\n"
            "1-100032-B-0.wav,1,0,dog,True,100032,B\n",
        },
        ".", 3, ("dog", "vacuum_cleaner"),
    ),
    "UrbanSound8K": (
        ["audio/fold1/100-3-0-0.wav", "audio/fold2/200-2-0-0.wav"],
        {
            "metadata/UrbanSound8K.csv": "slice_file_name,fsID,start,end,salience,fold,classID,class\n"
            "100-3-0-0.wav,100,0,0.5,1,1,3,dog_bark\n200-2-0-0.wav,200,0,4,1,2,2,children_playing\n",
        },
        ".", 2, ("children_playing", "dog_bark"),
    ),
    "FSD50K": (
        ["FSD50K.dev_audio/1.wav", "FSD50K.dev_audio/2.wav", "FSD50K.eval_audio/3.wav"],
        {
            "FSD50K.ground_truth/dev.csv": 'fname,labels,mids,split\n1,"Bark,Dog","/m/1,/m/2",train\n2,Dog,/m/2,val\n',
            "FSD50K.ground_truth/eval.csv": 'fname,labels,mids\n3,"Bark,Dog","/m/1,/m/2"\n',
            "FSD50K.ground_truth/vocabulary.csv": "0,Bark,/m/1\n1,Dog,/m/2\n",
        },
        ".", 3, ("Bark", "Dog"),
    ),
    "FSDKaggle2018": (
        ["FSDKaggle2018.audio_train/a.wav", "FSDKaggle2018.audio_test/b.wav"],
        {
            "FSDKaggle2018.meta/train_post_competition.csv": "fname,label,manually_verified,freesound_id,license\n"
            "a.wav,Cello,1,7,CC0\n",
            "FSDKaggle2018.meta/test_post_competition_scoring_clips.csv": "fname,label,usage,freesound_id,license\n"
            "b.wav,Oboe,Public,8,CC0\n",
        },
        ".", 2, ("Cello", "Oboe"),
    ),
    "FSDKaggle2019": (
        ["FSDKaggle2019.audio_train_curated/a.wav", "FSDKaggle2019.audio_train_noisy/b.wav",
         "FSDKaggle2019.audio_test/c.wav"],
        {
            "FSDKaggle2019.meta/train_curated_post_competition.csv": 'fname,labels,freesound_id,license\n'
            'a.wav,"Bark,Run",7,CC0\n',
            "FSDKaggle2019.meta/train_noisy_post_competition.csv": "fname,labels\nb.wav,Run\n",
            "FSDKaggle2019.meta/test_post_competition.csv": "fname,labels,usage,freesound_id,license\n"
            "c.wav,Run,Public,9,CC0\n",
        },
        ".", 3, ("Bark", "Run"),
    ),
    "TAU Urban": (
        ["audio/bus-lyon-1-2-a.wav", "audio/park-lyon-3-4-a.wav"],
        {
            "meta.csv": "filename\tscene_label\tidentifier\tsource_label\naudio/bus-lyon-1-2-a.wav\tbus\tlyon-1\ta\n"
            "audio/park-lyon-3-4-a.wav\tpark\tlyon-3\ta\n",
            "evaluation_setup/fold1_train.csv": "filename\tscene_label\naudio/bus-lyon-1-2-a.wav\tbus\n",
        },
        ".", 2, ("bus", "park"),
    ),
    "DCASE Task 4": (
        ["audio/train/weak/a.wav", "audio/validation/validation/a.wav"],
        {
            "metadata/train/weak.tsv": "filename\tevent_labels\na.wav\tSpeech,Dog\n",
            "metadata/validation/validation.tsv": "filename\tonset\toffset\tevent_label\na.wav\t0.1\t0.2\tDog\n",
        },
        ".", 2, ("Dog", "Speech"),
    ),
    "Common Voice": (
        [f"clips/{i}.mp3" for i in range(4)],
        {
            f"{name}.tsv": "client_id\tpath\tsentence\tlocale\n" + "".join(f'c{i}\t{i}.mp3\tyes\ten\n' for i in two)
            for name, two in (("train", (0, 1)), ("dev", (2, 3)))
        },
        ".", 4, ("yes",),
    ),
    "Speech Commands": (
        ["yes/a_nohash_0.wav", "no/a_nohash_0.wav", "_background_noise_/hum.wav"],
        {"validation_list.txt": "yes/a_nohash_0.wav\n", "testing_list.txt": ""},
        ".", 2, ("no", "yes"),
    ),
}  # fmt: skip


def make(root: Path, files: list[str], texts: dict[str, str]) -> Path:
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        kind = {"format": "WAV"} if name.endswith(".mp3") else {}
        soundfile.write(root / name, np.random.default_rng(0).normal(0, 0.1, RATE), RATE, **kind)
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize("name", LAYOUTS)
def test_public_data_sets_work_as_they_are(tmp_path: Path, name: str) -> None:
    files, texts, opened, count, labels = LAYOUTS[name]
    data = read_dataset(make(tmp_path / "d", files, texts) / opened)
    assert (len(data.recordings), data.labels) == (count, labels)
    lines = [line for line in GUIDE.read_text().splitlines() if line.startswith(f"| {name} |")]
    row = next(line for line in lines if line.split("|")[-2].count(";") == 3)
    assert row.endswith(f"| {counts(data)} |"), counts(data)


def counts(data: Dataset) -> str:
    """Recordings, classes, sources and divisions, as the table of the guide has them."""
    splits = Counter(r.split for r in data.recordings)
    folds = len({r.fold for r in data.recordings if r.fold})
    parts = [f"{splits[name]} {name}" for name in SPLITS if splits[name]] + (
        [f"{folds} folds"] if folds else []
    )
    sources = len({r.group for r in data.recordings})
    return f"{len(data.recordings)}; {len(data.labels)}; {sources}; {', '.join(parts) or 'drawn'}"


@pytest.mark.parametrize("train", ["train", "Training"])
def test_split_folders_are_splits(tmp_path: Path, train: str) -> None:
    root = make(tmp_path / "d", [f"{s}/{c}/{i}.wav" for s in (train, "test") for c in "ab" for i in "12"], {})
    data = read_dataset(root)
    assert data.labels == ("a", "b")
    assert len(data.part("train")) == len(data.part("test")) == 4


def test_a_class_beside_split_folders_is_refused(tmp_path: Path) -> None:
    root = make(tmp_path / "d", ["train/a/1.wav", "test/a/1.wav", "b/1.wav"], {})
    with pytest.raises(DataError, match="stands beside the split folder"):
        read_dataset(root)


def test_leftovers_are_no_classes(tmp_path: Path) -> None:
    root = make(tmp_path / "d", ["a/1.wav", "a/._1.wav", "b/1.wav", "__MACOSX/a/._1.wav", ".git/1.wav"], {})
    data = read_dataset(root)
    assert (len(data.recordings), data.labels) == (2, ("a", "b"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("quote.tsv", 'path\tsaid\tlabel\n1.wav\t"Come in\ta\n2.wav\tyes\tb\n'),
        ("semicolon.csv", "filename;label\n1.wav;a\n2.wav;b\n"),
        ("tab.csv", "filename\tlabel\n1.wav\ta\n2.wav\tb\n"),
        ("bare.csv", "fname,label\n1,a\n2,b\n"),
        ("scene.csv", "filename,scene_label\n1.wav,a\n2.wav,b\n"),
        ("times.csv", "filename,start,end,label\n1.wav,0,0.5,a\n2.wav,0.1,0.5,b\n"),
        ("twice.csv", "filename,label\n1.wav,a\n2.wav,b\n1.wav,a\n"),
        ("blank.csv", "\n\n,\nfilename,label\n1.wav,a\n2.wav,b\n"),
        ("marks.csv", "filename,label,title\n1.wav,a,x\u2028y\x0cz\n2.wav,b,x\x85y\n"),
        ("long.csv", f"filename,label,title\n1.wav,a,{'x' * 200_000}\n2.wav,b,y\n"),
    ],
)
def test_manifests_in_the_wild(tmp_path: Path, name: str, text: str) -> None:
    root = make(tmp_path, ["1.wav", "2.wav"], {name: text})
    data = read_dataset(root / name)
    assert (len(data.recordings), data.labels) == (2, ("a", "b"))


def test_a_quote_that_swallows_rows_is_refused(tmp_path: Path) -> None:
    text = 'filename,said,label\n1.wav,"Come in,a\n2.wav,yes,b\n3.wav,"no,a\n'
    root = make(tmp_path, ["1.wav", "2.wav", "3.wav"], {"m.csv": text})
    with pytest.raises(DataError, match="row 2"):
        read_dataset(root / "m.csv")
