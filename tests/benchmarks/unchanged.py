"""Whether a change left every score and event as it was, to the bit.

::

    python -m tests.benchmarks.unchanged --record before.npz    # in a checkout of the code before the change
    python -m tests.benchmarks.unchanged --compare before.npz   # in the changed one

Both bundled models hear the demo (as a file; hop by hop; with gaps and invalid samples) and, where STREAM_CLASSIFY_DATA
names the folder of recordings, an hour of them: files of every folder in turn, each at its own sample rate, so that
decoding, resampling, features, model and detector are all in what is compared. soxr's blocks are as short as the
command line makes them; with blocks of another length, resampled sound differs by its rounding. Arrays are kept whole,
which tells where a difference begins and how large it is. Imports nothing of the tests, so one copy can be run against
any checkout.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream import StreamClassifier
from stream.capture.files import FileSource, read_audio
from stream.inference.session import Model
from stream.installation import asset
from stream.messages import Chunk, Event, Result

MODELS = ("default", "small")
HOUR_SECONDS = 3600.0
AUDIO_SUFFIXES = {".flac", ".ogg"}
ARRAYS = ("probs", "sample", "warm")
EVENT_FIELDS = ("id", "label", "onset", "offset", "peak", "mean", "decided", "gap")
SHORT_BLOCKS = {"SOXR_MIN_DFT_SIZE": "8", "SOXR_LARGE_DFT_SIZE": "8"}
SHORT_GAP_SECONDS, LONG_GAP_SECONDS = (
    0.3,
    2.0,
)  # the model's state is carried over the first, not over the second

Heard = dict[str, Any]  # arrays by name, and "events", "gaps", "end", "repaired"


def listen(results: Iterable[Result]) -> Heard:
    """Everything that one stream brought."""
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in ARRAYS}
    events, gaps, end, repaired = [], [], 0, 0
    for result in results:
        if len(result.scores):
            for name in ARRAYS:
                parts[name].append(getattr(result.scores, name))
        events += [event_values(event) for event in result.events]
        gaps += [[gap.start, gap.length] for gap in result.gaps]
        end, repaired = result.end, repaired + result.repaired
    arrays = {name: np.concatenate(found) if found else np.empty(0) for name, found in parts.items()}
    return arrays | {"events": events, "gaps": gaps, "end": end, "repaired": repaired}


def event_values(event: Event) -> list[Any]:
    """Its fields by position, so that a field may be renamed; floats in JSON come back to the bit."""
    ended = event.truncated if hasattr(event, "truncated") else event.cut  # the name of old and of new
    return [getattr(event, name) for name in EVENT_FIELDS] + [ended]


def file_stream(model: Model, path: Path) -> Heard:
    return listen(StreamClassifier(model).stream(FileSource(path)))


def demo_hops(model: Model) -> Iterator[Result]:
    classifier = StreamClassifier(model)
    sound = read_audio(asset("demo.ogg"), classifier.sample_rate)
    for start in range(0, len(sound), classifier.hop):
        yield classifier.push(Chunk(sound[start : start + classifier.hop], start, classifier.sample_rate))
    yield classifier.flush()


def damaged_demo(model: Model) -> Iterator[Result]:
    """The demo in chunks of any size, with lost stretches and with runs of NaN to repair and not to repair."""
    classifier = StreamClassifier(model, reset_after=20.0)
    rate = classifier.sample_rate
    sound = read_audio(asset("demo.ogg"), rate).copy()
    rng = np.random.default_rng(0)
    for length in rng.integers(1, round(0.1 * rate), 40):
        at = int(rng.integers(0, len(sound) - length))
        sound[at : at + length] = np.nan
    lost = {round(10.0 * rate): SHORT_GAP_SECONDS, round(30.0 * rate): LONG_GAP_SECONDS}
    start = 0
    while start < len(sound):
        for begin in [begin for begin in lost if begin <= start]:
            start += round(lost.pop(begin) * rate)
        stop = start + int(rng.integers(1, round(0.05 * rate)))
        yield classifier.push(Chunk(sound[start:stop], start, rate))
        start = min(stop, len(sound))
    yield classifier.flush()


def an_hour(folder: Path, seconds: float) -> list[str]:
    """Files that last so long together, from the folders in turn; always the same ones."""
    import soundfile

    waiting = []
    for each in sorted(path for path in folder.iterdir() if path.is_dir()):
        found = [path for path in each.rglob("*") if path.suffix in AUDIO_SUFFIXES]
        names = sorted(str(path.relative_to(folder)) for path in found)
        waiting.append(sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest()))
    chosen: list[str] = []
    total = 0.0
    heard = [0.0] * len(waiting)
    while total < seconds and any(waiting):
        # The folder that was heard least: an hour has as much of short clips as of long recordings.
        turn = min((at for at in range(len(waiting)) if waiting[at]), key=heard.__getitem__)
        chosen.append(waiting[turn].pop())
        lasts = float(soundfile.info(folder / chosen[-1]).duration)
        heard[turn] += lasts
        total += lasts
    return chosen


def everything(folder: Path | None, files: Sequence[str]) -> Iterator[tuple[str, Heard]]:
    """Name and outcome of every stream."""
    for name in MODELS:
        model = Model.bundled(name, provider="cpu")
        yield f"{name} demo.ogg", file_stream(model, asset("demo.ogg"))
        yield f"{name} demo.ogg hop by hop", listen(demo_hops(model))
        yield f"{name} demo.ogg with gaps", listen(damaged_demo(model))
        if folder is not None:
            for file in files:
                yield f"{name} {file}", file_stream(model, folder / file)


def digest(heard: Heard) -> str:
    """SHA-256 of arrays (values and shape) and events."""
    total = hashlib.sha256()
    for name in ARRAYS:
        total.update(repr((name, heard[name].shape, heard[name].dtype.str)).encode())
        total.update(np.ascontiguousarray(heard[name]).tobytes())
    total.update(text_of(heard).encode())
    return total.hexdigest()


def text_of(heard: Heard) -> str:
    return json.dumps({name: heard[name] for name in ("events", "gaps", "end", "repaired")})


def record(target: Path, folder: Path | None, seconds: float) -> None:
    files = an_hour(folder, seconds) if folder is not None else []
    arrays: dict[str, NDArray[Any]] = {}
    lines = []
    for at, (name, heard) in enumerate(everything(folder, files)):
        arrays |= {f"{at}/{part}": heard[part] for part in ARRAYS}
        lines.append({"name": name, "digest": digest(heard), "text": text_of(heard)})
    about = json.dumps({"files": files, "streams": lines})
    with target.open("wb") as file:
        np.savez_compressed(file, about=np.frombuffer(about.encode(), np.uint8), **arrays)  # type: ignore[arg-type]
    print(f"{len(lines)} streams recorded in {target}; digest {whole_digest(lines)}")


def compare(target: Path, folder: Path | None) -> int:
    """The number of streams that differ, each with a line that says how."""
    with np.load(target) as kept:
        about = json.loads(kept["about"].tobytes())
        if about["files"] and folder is None:
            raise SystemExit(f"{target} has recordings in it: name their folder in STREAM_CLASSIFY_DATA")
        now, differing, rows = [], 0, 0
        for at, (name, heard) in enumerate(everything(folder, about["files"])):
            before = about["streams"][at]
            now.append({"digest": digest(heard)})
            rows += len(heard["probs"])
            if before["name"] != name or before["digest"] != now[-1]["digest"]:
                differing += 1
                print(f"{name}: {difference(before, heard, {part: kept[f'{at}/{part}'] for part in ARRAYS})}")
    same = len(now) - differing
    print(
        f"{same} of {len(now)} streams ({rows} rows of scores) equal to the bit; digest {whole_digest(now)}"
    )
    return differing


def whole_digest(lines: Sequence[dict[str, str]]) -> str:
    return hashlib.sha256("".join(line["digest"] for line in lines).encode()).hexdigest()[:16]


def difference(before: dict[str, str], heard: Heard, arrays: dict[str, NDArray[Any]]) -> str:
    """In words, the first of what differs."""
    for name in ARRAYS:
        old, new = arrays[name], heard[name]
        if old.shape != new.shape or old.dtype != new.dtype:
            return f"{name} was {old.dtype} {old.shape}, is {new.dtype} {new.shape}"
        if not np.array_equal(old, new):
            away = old != new if old.ndim == 1 else (old != new).any(axis=1)
            worst = np.abs(old.astype(float) - new.astype(float)).max()
            return f"{name} differs in {away.sum()} of {len(old)} rows from row {away.argmax()}, by up to {worst:g}"
    old_text, new_text = json.loads(before["text"]), json.loads(text_of(heard))
    for name, was in old_text.items():
        if was != new_text[name]:
            return f"{name} were {was}, are {new_text[name]}"
    return f"was named {before['name']}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="are all scores and events as they were, to the bit?")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--record", type=Path, metavar="FILE", help="write what this code gives")
    what.add_argument("--compare", type=Path, metavar="FILE", help="compare with what was recorded")
    parser.add_argument(
        "--seconds", type=float, default=HOUR_SECONDS, help="of recordings (default %(default)g)"
    )
    asked = parser.parse_args(arguments)
    named = os.environ.get("STREAM_CLASSIFY_DATA")
    folder = Path(named) if named else None
    os.environ |= SHORT_BLOCKS
    begin = time.perf_counter()
    if asked.record:
        record(asked.record, folder, asked.seconds)
        differing = 0
    else:
        differing = compare(asked.compare, folder)
    print(f"{time.perf_counter() - begin:.0f} s, code in {Path(sys.modules['stream'].__file__ or '').parent}")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
