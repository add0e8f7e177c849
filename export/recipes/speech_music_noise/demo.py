"""Make assets/demo.ogg: silence, speech, music and noise, and what is easily mistaken.

A minute of silence, speech, music, speech over music, noise, speech in noise; then half a minute of a bark, a horn, a
voice that sings, a smoke alarm.

Every part may be used freely: CC0 recordings, one song under CC BY 3.0 ("mermaid song" by poots), sentences spoken by
the flite synthesiser, an alarm made by rule. None of it is in the training data (the parts belong to the validation
side, or to no side). Levels and times are written down here, so that its labels are known and not guessed.

    python -m export.recipes.speech_music_noise.demo --cache DIR --recordings DIR --out assets
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from export.recipes.speech_music_noise.scenes.labels import CELL_SAMPLES, active_rms, active_spans, activity
from export.recipes.speech_music_noise.sources.gather import decode, fetch
from export.recipes.speech_music_noise.sources.rules import KINDS, SAMPLE_RATE, Kind
from export.scenes.cadence import SMOKE, pulse_times
from export.scenes.sounder import Sounder, sounded

DEMO_SECONDS = 90
SELF_NOISE_DBFS = -72.0  # of the microphone, present throughout and counted as silence

# (start s, end s, kind, level dBFS, parts): a part is a sample of sonic-pi, "folder/file" of the recordings, of which a
# bed is repeated without a seam, "voice: words", or ALARM.
ALARM = "alarm"
SCRIPT: tuple[tuple[float, float, Kind, float, tuple[str, ...]], ...] = (
    (
        4.0,
        13.0,
        "speech",
        -22,
        (
            "slt: Good morning. Here is some sound to try a classifier on.",
            "rms: First come two voices, and then some music.",
        ),
    ),
    (14.5, 39.5, "music", -20, ("guit_em9", "loop_garzul", "loop_mika")),
    (
        26.0,
        36.5,
        "speech",
        -12,
        (
            "slt: While the music goes on, somebody talks, a little louder than the band.",
            "awb: The next train to the coast leaves from platform four.",
        ),
    ),
    (42.0, 57.5, "noise", -26, ("ambience/clock-sfx-rain.ogg",)),
    (
        48.5,
        55.0,
        "speech",
        -16,
        (
            "rms: Now it is raining, and we are still talking.",
            "slt: Take an umbrella with you.",
        ),
    ),
    (60.0, 66.0, "noise", -18, ("things/puppy_bark.ogg",) * 3),
    (67.5, 70.5, "noise", -16, ("things/vehicle_horn_02.ogg",) * 2),
    (72.0, 81.0, "music", -20, ("things/mermaid_song_01.ogg",)),
    (82.0, 89.0, "noise", -24, (ALARM,)),
)
PAUSE_SECONDS = 0.5  # between sentences, barks and blasts of the horn
ALARM_HERTZ = 3100.0


def speak(line: str, cache: Path) -> NDArray[np.float32]:
    """A sentence ("voice: words") in one of flite's voices, 16 kHz."""
    voice, words = line.split(": ", 1)
    program = fetch("flite", cache) / "usr/bin/flite"
    libraries = next((fetch("libflite1", cache) / "usr/lib").glob("*/libflite.so.1")).parent
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.wav"
        subprocess.run(
            [str(program), "-voice", voice, "-t", words, "-o", str(out)],
            check=True,
            env={**os.environ, "LD_LIBRARY_PATH": str(libraries)},
        )
        return decode(out)


def material(kind: Kind, parts: tuple[str, ...], cache: Path, recordings: Path) -> NDArray[np.float32]:
    """The parts one after the other; all but samples of music with a pause between them."""
    if kind == "music" and "/" not in parts[0]:
        tree = fetch("sonic-pi-samples", cache)
        return np.concatenate([level(decode(next(tree.rglob(f"{name}.flac"))), kind) for name in parts])
    if parts[0].startswith("ambience/"):
        return looped(decode(recordings / parts[0]), 60 * SAMPLE_RATE)
    pause = np.zeros(round(PAUSE_SECONDS * SAMPLE_RATE), np.float32)
    pieces = (_piece(part, cache, recordings) for part in parts)
    return np.concatenate([each for piece in pieces for each in (piece, pause)][:-1])


def _piece(part: str, cache: Path, recordings: Path) -> NDArray[np.float32]:
    if part == ALARM:
        n = round(2 * SMOKE.cycle * SAMPLE_RATE)
        pulses = pulse_times(SMOKE, n / SAMPLE_RATE)
        return np.asarray(
            sounded(Sounder(ALARM_HERTZ, ((1, 1.0), (2, 0.1))), pulses, n, SAMPLE_RATE), np.float32
        )
    return decode(recordings / part) if "/" in part else speak(part, cache)


def looped(bed: NDArray[np.float32], length: int, seam: int = SAMPLE_RATE // 4) -> NDArray[np.float32]:
    """The bed over and over, each turn faded into the next over ``seam`` samples at equal power."""
    rise = np.sin(np.linspace(0, np.pi / 2, seam, dtype=np.float32))
    turn = bed.copy()
    turn[:seam] *= rise
    turn[-seam:] *= rise[::-1]
    out = np.zeros(length + len(bed), np.float32)
    for start in range(0, length, len(bed) - seam):
        out[start : start + len(turn)] += turn
    return out[:length]


def level(samples: NDArray[np.float32], kind: Kind, dbfs: float = 0.0) -> NDArray[np.float32]:
    """Scaled so that its active cells have an RMS of ``dbfs``."""
    rms = active_rms(samples, activity(samples, kind))
    return (samples * (10 ** (dbfs / 20) / rms)).astype(np.float32)


def build(cache: Path, recordings: Path) -> tuple[NDArray[np.float32], list[tuple[float, float, str]]]:
    """The recording, (n,) float32, and its (onset s, offset s, label) in order of onset."""
    rng = np.random.default_rng(60)
    mix = (rng.standard_normal(DEMO_SECONDS * SAMPLE_RATE) * 10 ** (SELF_NOISE_DBFS / 20)).astype(np.float32)
    active = {kind: np.zeros(len(mix) // CELL_SAMPLES, dtype=bool) for kind in KINDS}
    for start, end, kind, dbfs, parts in SCRIPT:
        begin, longest = round(start * SAMPLE_RATE), round((end - start) * SAMPLE_RATE)
        part = level(material(kind, parts, cache, recordings)[:longest], kind, dbfs)
        edge = np.minimum(
            1.0, np.minimum(np.arange(len(part)), np.arange(len(part))[::-1]) / (0.01 * SAMPLE_RATE)
        )
        part = (part * edge).astype(np.float32)
        mix[begin : begin + len(part)] += part
        on = activity(part, kind)
        active[kind][begin // CELL_SAMPLES : begin // CELL_SAMPLES + len(on)] |= on
    rows = [
        (a * CELL_SAMPLES / SAMPLE_RATE, b * CELL_SAMPLES / SAMPLE_RATE, kind)
        for kind in KINDS
        for a, b in active_spans(active[kind])
    ]
    return np.clip(mix, -1, 1), sorted(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True, help="folder for downloads")
    parser.add_argument(
        "--recordings", type=Path, required=True, help="folder that holds ambience/ and things/"
    )
    parser.add_argument("--out", type=Path, default=Path("assets"))
    given = parser.parse_args()
    samples, rows = build(given.cache, given.recordings)
    soundfile.write(given.out / "demo.ogg", samples, SAMPLE_RATE, format="OGG", subtype="VORBIS")
    lines = ["onset\toffset\tevent_label", *(f"{a:.2f}\t{b:.2f}\t{label}" for a, b, label in rows)]
    (given.out / "demo.tsv").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
