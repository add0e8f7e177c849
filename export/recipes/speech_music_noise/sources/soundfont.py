"""Notes out of a SoundFont: single tones of real instruments, and of choirs, with their pitch in the file's name.

Source: SoundFont Technical Specification 2.04, sections 4 (RIFF layout) and 7.10 (SHDR).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

SAMPLE_HEADER = struct.Struct("<20s5IBb2H")
RIGHT_CHANNEL = 2  # flag of a sample type; the left half of a stereo pair is enough
HELD_NOTE_SECONDS = 3.0  # that a looped note is held for
NOTE = re.compile(r"([A-Ga-g])(#|b)? ?(-?\d+)")
SEMITONE = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}


def unpack(path: Path, folder: Path) -> None:
    """Write every mono or left sample of a SoundFont to ``folder/INSTRUMENT/PITCH.wav`` (MIDI number).

    What has no pitch in its name (drums, effects) is left out.
    """
    content = path.read_bytes()
    samples, headers = _parts(content)
    for raw, start, end, loop, loop_end, rate, _, _, _, kind in SAMPLE_HEADER.iter_unpack(headers):
        name = raw.split(b"\0")[0].decode("latin-1")
        found = NOTE.search(name)
        if kind & RIGHT_CHANNEL or found is None or end <= start or not rate:
            continue
        instrument = re.sub(r"[^A-Za-z]+", "-", name[: found.start()]).strip("-").lower() or "piano"
        letter, sign, octave = found.groups()
        pitch = SEMITONE[letter.lower()] + {"#": 1, "b": -1}.get(sign, 0) + 12 * (int(octave) + 1)
        target = folder / instrument
        target.mkdir(parents=True, exist_ok=True)
        note = _held(samples[start:end], loop - start, loop_end - start, round(HELD_NOTE_SECONDS * rate))
        soundfile.write(target / f"{pitch:03d}.wav", note, rate)


def _parts(content: bytes) -> tuple[NDArray[np.int16], bytes]:
    """The samples and the table of their headers."""
    found = {
        name: content[at : at + size]
        for kind, start, end in _chunks(content, 12, len(content))
        if kind == b"LIST"
        for name, at, stop in _chunks(content, start + 4, end)
        for size in (stop - at,)
        if name in (b"smpl", b"shdr")
    }
    return np.frombuffer(found[b"smpl"], "<i2"), found[b"shdr"][
        : -SAMPLE_HEADER.size
    ]  # the last is a terminator


def _chunks(content: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    while start + 8 <= end:
        (size,) = struct.unpack_from("<I", content, start + 4)
        yield content[start : start + 4], start + 8, start + 8 + size
        start += 8 + size + size % 2


def _held(note: NDArray[np.int16], loop: int, loop_end: int, length: int) -> NDArray[np.int16]:
    """A note that ends in a loop, held to ``length``; one that dies away by itself as it is."""
    if len(note) >= length or not 0 <= loop < loop_end - 8 or loop_end > len(note):
        return note
    again = note[loop:loop_end]
    rest = length - loop_end
    return np.concatenate([note[:loop_end], np.resize(again, max(rest, 0))])
