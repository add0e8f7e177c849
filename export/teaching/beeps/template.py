"""Template: which bands of a frame are a beep's lines, and which moments its pulses and pauses."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.teaching.beeps.pattern import Beep
from stream.features.spec import MfccSpec
from stream.features.tables import mel_edges

SPEC = MfccSpec(
    n_fft=2048,
    win_length=640,
    hop_length=320,
    n_mels=256,
    n_mfcc=None,
    f_min=250.0,
    f_max=7600.0,
    log_floor=1e-10,
)
"""40 ms of sound every 20 ms: a pulse of 0.1 s is four frames and its gap three. Bands 10 to 80 Hz apart: the pitch."""
PITCH = 0.015  # share by which a pitch may be off and still be this beep's
TEMPO = 0.06  # the same of its pulses within a group
CYCLE = 0.1  # and of the time to the next group
GROUP_SECONDS, GROUP_PULSES = 3.0, 12  # quick beeps are taken together to groups of so much, at most
_BESIDE_HERTZ, _WIDE_HERTZ = 70.0, 300.0  # what a line is compared with, from the edge of its own bands on
_LEAST_BANDS = 4  # of what it is compared with
_MOST_LINES = 4
_PULSE_EDGE = 0.12  # of a pulse, that is not asked about at its ends
_PULSE_TAIL, _TAIL_SECONDS = 0.3, 0.04  # and at its end: of short ones so much, up to so many seconds
_PULSE_PIECE, _GAP_PIECE = (
    0.12,
    0.15,
)  # seconds of the pieces in which pulses and gaps are asked about, at most
_GAP_BEGIN, _GAP_END = 0.35, 0.15  # the same of a gap
_ROOM_SECONDS, _EARLY_SECONDS = 0.2, 0.1  # and at most
_LONGEST_PAUSE = 0.85  # of the pause before a group, that is asked about
_SHORTEST_PIECE, _MOST_PIECES = 0.06, 64  # seconds of a piece; pieces of one stretch
_TRAIL = (
    0.7  # of a pulse, beyond the shortest gap, that is waited for after a group: another pulse would be seen
)
_MOST_TEMPOS = 9


@dataclass(frozen=True, slots=True)
class Span:
    """Frames back from the newest: ``first`` >= k >= ``last``, both in it."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """Frames."""
        return self.first - self.last + 1


@dataclass(frozen=True, eq=False, slots=True)
class Template:
    """What a beep is in frames.

    Attributes:
        bands: of each line, (own, beside): the bands it may be in, and those it is compared with.
        weights: (lines,) how much each counts, in 64ths; sum 1.
        pulses: for each tempo, a Span for each pulse of a group.
        gaps: the same for the gaps, pieces of the pause before the group first.
        back: (least, most) frames from a group back to the one before.
        hold: frames from a group to the next one at the latest.
    """

    bands: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]
    weights: NDArray[np.float32]
    pulses: tuple[tuple[Span, ...], ...]
    gaps: tuple[tuple[Span, ...], ...]
    back: tuple[int, int]
    hold: int

    @property
    def memory(self) -> int:
        """Frames before the newest that a group is told by."""
        return max(span.first for spans in (*self.pulses, *self.gaps) for span in spans)


def time_to_say(template: Template) -> float:
    """Seconds that two groups take at most, and with them the detector."""
    return (template.memory + template.back[1]) / SPEC.frame_rate


def template_of(beep: Beep) -> Template:
    """The template of a measured beep."""
    lines = sorted(beep.lines, key=lambda line: -line.decibels)[:_MOST_LINES]
    loud = np.array([10 ** (max(line.decibels, -30.0) / 40) for line in lines])
    times, length = _group(beep)
    shortest = min(min(p.length for p in beep.pulses), min(beep.gaps))
    steps = int(np.ceil(TEMPO * length / (0.25 * shortest)))
    tempos = np.linspace(-TEMPO, TEMPO, min(_MOST_TEMPOS, 2 * (steps // 2) + 1)) + 1
    cycles = _cycles(beep)
    pulses, gaps = zip(*(_spans(beep, times, tempo) for tempo in tempos), strict=True)
    rate = SPEC.frame_rate
    back = cycles * beep.cycle * rate
    return Template(
        tuple(_bands(line.hertz, [each.hertz for each in beep.lines]) for line in lines),
        _weights(loud),
        pulses,
        gaps,
        (round(back * (1 - CYCLE)), round(back * (1 + CYCLE))),
        round((1 + CYCLE) * beep.cycle * cycles * rate),
    )


def _weights(loud: NDArray[np.float64]) -> NDArray[np.float32]:
    """In 64ths, so that levels times weights are exact."""
    parts = np.maximum(1, np.rint(64 * loud / loud.sum()))
    parts[0] += 64 - parts.sum()
    return np.asarray(parts / 64, np.float32)


def _cycles(beep: Beep) -> int:
    """That are taken as one group."""
    return max(1, min(int(GROUP_SECONDS / beep.cycle), GROUP_PULSES // len(beep.pulses)))


def _group(beep: Beep) -> tuple[list[tuple[float, float]], float]:
    """(onset, offset) of each pulse of a group in seconds, and the end of the last."""
    times = [
        (k * beep.cycle + pulse.onset, k * beep.cycle + pulse.onset + pulse.length)
        for k in range(_cycles(beep))
        for pulse in beep.pulses
    ]
    return times, times[-1][1]


def _spans(
    beep: Beep, times: list[tuple[float, float]], tempo: float
) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    longest, gap, pause = max(pulse.length for pulse in beep.pulses), min(beep.gaps), beep.gaps[-1]
    wait = min(gap + _TRAIL * longest, pause - _before(pause))
    end = times[-1][1] * tempo
    sounding = [
        piece
        for begin, stop in times
        for piece in _pieces(
            begin * tempo + _PULSE_EDGE * (stop - begin),
            stop * tempo - _tail(stop - begin),
            _count((1 - _PULSE_EDGE) * (stop - begin) - _tail(stop - begin), min(longest / 4, _PULSE_PIECE)),
        )
    ]
    most = min(longest / 2, _GAP_PIECE)
    silent = [
        *_pieces(
            -_LONGEST_PAUSE * pause, -_before(pause), _count(_LONGEST_PAUSE * pause - _before(pause), most)
        ),
        *(
            piece
            for (_, stop), (begin, _) in itertools.pairwise(times)
            for piece in _pieces(
                stop * tempo + _after(begin - stop),
                begin * tempo - _before(begin - stop),
                _count(begin - stop - _after(begin - stop) - _before(begin - stop), most),
            )
        ),
        *_pieces(end + _after(gap), end + wait, _count(wait - _after(gap), most)),
    ]
    now = end + wait
    return tuple(_span(now, *each) for each in sounding), tuple(_span(now, *each) for each in silent)


def _count(length: float, most: float) -> int:
    """Into how many pieces of ``most`` seconds each a stretch is cut; the same at every tempo."""
    return int(np.clip(np.ceil(length / max(most, _SHORTEST_PIECE) - 1e-9), 1, _MOST_PIECES))


def _pieces(begin: float, end: float, count: int) -> list[tuple[float, float]]:
    """A stretch in equal pieces: a pulse that sounds in a gap fills one of them, and half a pulse is seen."""
    edges = np.linspace(begin, end, count + 1).tolist()
    return list(itertools.pairwise(edges))


def _tail(pulse: float) -> float:
    """Seconds at a pulse's end that may have been the room where it was measured."""
    return max(_PULSE_EDGE * pulse, min(_PULSE_TAIL * pulse, _TAIL_SECONDS))


def _after(gap: float) -> float:
    """Seconds of a gap in which the room may sound on."""
    return min(_GAP_BEGIN * gap, _ROOM_SECONDS)


def _before(gap: float) -> float:
    """Seconds at its end in which the next pulse may come early."""
    return min(_GAP_END * gap, _EARLY_SECONDS)


def _span(now: float, begin: float, end: float) -> Span:
    rate = SPEC.frame_rate
    first, last = round((now - begin) * rate - 0.5), round((now - end) * rate + 0.5)
    if last > first:
        first = last = round((now - (begin + end) / 2) * rate)
    return Span(max(first, 0), max(last, 0))


def _bands(hertz: float, others: list[float]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Bands in which a line may be, and those beside it in which no line of the beep is."""
    centres = mel_edges(SPEC)[1:-1]
    reach = max(PITCH * hertz, 10.0)
    step = float(np.interp(hertz, centres[:-1], np.diff(centres)))
    own = np.abs(centres - hertz) <= reach + step / 2
    free = np.all([np.abs(centres - each) > reach + _BESIDE_HERTZ for each in others], axis=0)
    wide = _WIDE_HERTZ
    beside = free & (np.abs(centres - hertz) <= reach + wide)
    while beside.sum() < _LEAST_BANDS and wide < 4000:
        wide *= 1.5
        beside = free & (np.abs(centres - hertz) <= reach + wide)
    return tuple(np.flatnonzero(own).tolist()), tuple(np.flatnonzero(beside).tolist())
