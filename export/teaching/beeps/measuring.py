"""Measuring: the pitch and the cadence of a beep that repeats in a recording, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.teaching.beeps.cycles import Folded, NoCadence, fold, period_of
from export.teaching.beeps.line_spectrum import HOP_SECONDS, RATE, Array, Spectrum
from export.teaching.beeps.pattern import MOST_LINES, Beep, Line
from export.teaching.beeps.steadiness import (
    STEADY_HERTZ,
    WELL,
    contrast_of,
    line_of,
    peaks_of,
    spread_of,
    unsteady,
)
from stream.errors import DataError

PIECE_SECONDS = 120.0  # that are measured as one: a clock that drifts is then no matter
LONGEST_SECONDS = 1200.0
LEAST_AGREEMENT, CLEAR_AGREEMENT = 0.77, 0.85
LEAST_OF_MANY, MANY = 0.6, 6  # agreement that is enough of so many cycles
CLEAR_CONTRAST, CLEAR_CYCLES = 12.0, 3  # dB from the gaps to the pulses
_DROWNED = 3.0  # dB above what is beside it
_USUAL = 0.7  # share of what stands out that is quieter than usual: rooms sound on, and edges rise
_LOUDEST = 1.4  # times the usual amplitude: more is something else
_CANDIDATES = 8
_APART_HERTZ = 120.0
_FLANK = 4  # columns
_CHANGES_DB = 6.0  # from the gaps to the pulses, that another line must


@dataclass(frozen=True, eq=False, slots=True)
class Candidate:
    """A line that may be a beep, and what is said of it where it is none.

    Attributes:
        hertz: its frequency.
        why: it is no repeating beep; "" = it is one.
        folded: its cadence, where it has one.
        agreement: with it.
        contrast: dB from the gaps to the pulses.
        cycles: of it that there nearly were.
    """

    hertz: float
    why: str
    folded: Folded | None = None
    agreement: float = 0.0
    contrast: float = 0.0
    cycles: int = 0


def measure(samples: Array, name: str) -> Beep:
    """The repeating beep of a recording.

    Args:
        samples: (n,) float32 at 16 kHz; the first 20 minutes are measured.
        name: of the recording, for messages.

    Raises:
        DataError: there is none; says what there is instead.
    """
    samples = samples[: round(LONGEST_SECONDS * RATE)]
    best: tuple[Beep | None, Candidate] | None = None
    step = round(PIECE_SECONDS * RATE)
    for at in range(0, max(len(samples) - step // 4, 1), step):
        found = _measured(samples[at : at + step], at / RATE)
        if best is None or _worth(found) > _worth(best):
            best = found
    assert best is not None
    if best[0] is None:
        raise DataError(
            f"{name}: no repeating beep in it ({best[1].why}); give a recording of two whole cycles or more, as near "
            "as it can be had, or teach it by examples: --clips with a recording of each time that it sounds"
        )
    return best[0]


def _worth(found: tuple[Beep | None, Candidate]) -> tuple[bool, float]:
    return found[0] is not None, found[1].agreement


def clearly_beeps(samples: Array) -> Beep | None:
    """The repeating beep of a recording at 16 kHz that is hardly anything else; None = it may be."""
    try:
        beep = measure(samples, "")
    except DataError:
        return None
    clear = beep.agreement >= CLEAR_AGREEMENT and beep.contrast >= CLEAR_CONTRAST
    return beep if clear and beep.cycles >= CLEAR_CYCLES else None


def _measured(samples: Array, start: float) -> tuple[Beep | None, Candidate]:
    if len(samples) < RATE // 2 or not np.any(np.abs(samples) > 1e-5):
        return None, Candidate(0.0, "it is too short, or silent")
    spectrum = Spectrum.of(samples)
    tried = [_tried(spectrum, column) for column in _candidates(spectrum)]
    if not tried:
        return None, Candidate(0.0, "no line of its spectrum stands out by 9 dB")
    good = [each for each in tried if each[1].folded is not None and not each[1].why]
    if not good:
        # What comes nearest to one is what the person meant.
        return None, max((each[1] for each in tried), key=lambda c: (c.agreement, c.cycles))
    top = max(each[1].agreement for each in good)
    column, chosen = max(
        (each for each in good if each[1].agreement >= top - 0.1), key=lambda each: _loudness(spectrum, *each)
    )
    folded = chosen.folded
    assert folded is not None
    sounding = folded.template(spectrum.seconds)
    lines, spread = _lines(spectrum, column, sounding, folded)
    if spread > STEADY_HERTZ:  # of a line that is louder than the one that was chosen
        return None, Candidate(
            lines[0].hertz, f"the line at {lines[0].hertz:.0f} Hz moves by ±{spread:.0f} Hz"
        )
    return (
        Beep(
            lines=lines, pulses=folded.pulses, cycle=folded.cycle, hertz_spread=spread, edge_spread=folded.edge_spread,
            cycle_spread=folded.cycle_spread, cycles=folded.cycles, start=start + folded.start,
            contrast=chosen.contrast, agreement=chosen.agreement,
        ),
        chosen,
    )  # fmt: skip


def _candidates(spectrum: Spectrum) -> list[int]:
    """Columns of lines that stand out, at most some of the time, and do so again after some time; best first."""
    rates = np.clip((spectrum.above - 3) / 9, 0, 1)
    rates -= rates.mean(axis=0)
    power = np.sum(rates * rates, axis=0)
    size = 1 << max(1, 2 * len(rates) - 1).bit_length()
    score = np.zeros(rates.shape[1])
    first = round(0.1 / HOP_SECONDS)
    for at in range(0, rates.shape[1], 64):  # all at once would be large
        spectra = np.fft.rfft(rates[:, at : at + 64], size, axis=0)
        again = np.fft.irfft(np.abs(spectra) ** 2, size, axis=0)[first : max(first + 1, len(rates))]
        score[at : at + 64] = np.max(again, axis=0, initial=0.0)
    stands = np.sort(spectrum.above, axis=0)[-max(5, len(rates) // 200) :].min(axis=0) >= WELL
    score = np.where(stands & (power > 0), score, 0.0)
    near = round(_APART_HERTZ / 2 / (RATE / 1024))
    chosen: list[int] = []
    for column in np.argsort(-score):
        if score[column] <= 0 or len(chosen) == _CANDIDATES:
            break
        peak = _peak(spectrum, int(column))
        if all(abs(peak - other) > near for other in chosen):
            chosen.append(peak)
    return chosen


def _peak(spectrum: Spectrum, column: int) -> int:
    """The column of the line on whose flank a column is, when it stands out."""
    loud = spectrum.decibels[spectrum.above[:, column] >= WELL].mean(axis=0)
    while True:
        low = max(0, column - _FLANK)
        top = low + int(loud[low : column + _FLANK + 1].argmax())
        if loud[top] <= loud[column]:
            return column
        column = top


def _tried(spectrum: Spectrum, column: int) -> tuple[int, Candidate]:
    level = _level(spectrum, column)
    hertz = float(spectrum.hertz[column])
    sounding = level >= 0.5
    bouts = int(np.sum(np.diff(sounding.astype(int), prepend=0) == 1))
    said = f"the line at {hertz:.0f} Hz"
    if bouts < 2:
        seconds = float(sounding.sum()) * HOP_SECONDS
        return column, Candidate(
            hertz, f"{said} sounds {'once' if bouts else 'nowhere'}, for {seconds:.2f} s"
        )
    cycle = period_of(level)
    if cycle is None:
        return column, Candidate(hertz, f"{said} sounds {bouts} times, and not again after an equal time")
    try:
        folded = fold(level, cycle, spectrum.seconds)
    except NoCadence as error:
        return column, Candidate(hertz, f"{said} {error}", cycles=error.cycles)
    inside = folded.inside(spectrum.seconds)
    on = folded.template(spectrum.seconds)
    agreement = float(np.corrcoef(level[inside], on[inside])[0, 1]) if level[inside].std() > 0 else 0.0
    contrast = contrast_of(spectrum, column, on, inside & ~on)
    if agreement < (LEAST_OF_MANY if folded.cycles >= MANY else LEAST_AGREEMENT):
        near = f"it agrees by {agreement:.2f} with a cycle of {folded.cycle:.2f} s"
        why = f"{said} sounds {bouts} times, with no cadence: {near}"
    else:
        fault = unsteady(spectrum, column, folded)
        why = f"{said} {fault}" if fault else ""
    return column, Candidate(hertz, why, folded, agreement, contrast, folded.cycles)


def _level(spectrum: Spectrum, column: int) -> NDArray[np.float64]:
    """(T,) the amplitude of a line: 1 as usual, 0 where it is silent or drowned."""
    low, high = max(0, column - 2), column + 3
    power = np.sum(10 ** (spectrum.decibels[:, low:high] / 10.0), axis=1)
    above = line_of(spectrum.above, column)
    stands = above >= WELL
    if not stands.any():
        return np.zeros(len(power))
    usual = float(np.quantile(power[stands], _USUAL)) ** 0.5
    clear = np.clip((above - _DROWNED) / (WELL - _DROWNED), 0, 1)
    level: NDArray[np.float64] = np.minimum(np.sqrt(power) / usual, _LOUDEST) * clear
    return level


def _loudness(spectrum: Spectrum, column: int, candidate: Candidate) -> float:
    assert candidate.folded is not None
    sounding = candidate.folded.template(spectrum.seconds)
    return float(np.mean(line_of(spectrum.decibels, column)[sounding]))


def _lines(
    spectrum: Spectrum, column: int, sounding: NDArray[np.bool_], folded: Folded
) -> tuple[tuple[Line, ...], float]:
    """The lines that sound together with one, the strongest first; and the spread of that one's pitch in Hz."""
    inside = folded.inside(spectrum.seconds)
    on, off = sounding & inside, ~sounding & inside
    level = spectrum.above[on].mean(axis=0)
    change = spectrum.decibels[on].mean(axis=0) - spectrum.decibels[off].mean(axis=0) if off.any() else level
    loudest = spectrum.decibels[on].mean(axis=0)
    chosen = [column]
    near = round(_APART_HERTZ / (RATE / 1024))
    for other in np.argsort(-loudest):
        if len(chosen) == MOST_LINES:
            break
        beside = loudest[max(0, int(other) - near) : int(other) + near + 1]
        alone = loudest[other] >= beside.max() and all(abs(int(other) - each) > near for each in chosen)
        if (
            alone
            and level[other] >= WELL
            and change[other] >= _CHANGES_DB
            and loudest[other] > loudest[column] - 30
        ):
            chosen.append(int(other))
    strongest = sorted(chosen, key=lambda each: -loudest[each])
    lines, spreads = [], []
    for each in strongest:
        hertz = peaks_of(spectrum, each, on)
        lines.append(
            Line(round(float(np.median(hertz)), 1), round(float(loudest[each] - loudest[strongest[0]]), 1))
        )
        spreads.append(spread_of(hertz))
    return tuple(lines), spreads[0]
