"""survey(): a data set in, its figures and warnings out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.data.recording import SPLITS, Dataset, Split
from export.data.splits import SplitConfig
from export.data.survey.classes import NO_CLASS, ClassFigures, class_figures
from export.data.survey.division import divide
from export.data.survey.listening import listen
from export.data.survey.warnings import DataWarning, find_warnings

if TYPE_CHECKING:
    from rich.console import Group

SAMPLE_RATE = 16_000  # Hz, of training unless it is told otherwise


@dataclass(frozen=True, slots=True)
class Survey:
    """What a data set holds.

    Attributes:
        root: the folder or manifest.
        classes: figures of each class, and of recordings of none.
        recordings: how many there are; ``read`` of them were listened to.
        read: recordings that were listened to, readable or not.
        seconds: of sound, estimated where not all was read.
        sources: speakers or sources.
        held_out: part -> its speakers or sources, in name order.
        why: part that is held out -> what put recordings there.
        backgrounds, ignored: sounds of no class for gaps, and files in class folders that are not audio by name.
        warnings: what looks wrong, the worst first.
    """

    root: Path
    classes: tuple[ClassFigures, ...]
    recordings: int
    read: int
    seconds: float
    sources: int
    held_out: dict[Split, tuple[str, ...]]
    why: dict[Split, str]
    backgrounds: int
    ignored: int
    warnings: tuple[DataWarning, ...]

    @property
    def sampled(self) -> bool:
        """True when only some of the recordings were read."""
        return self.read < self.recordings

    def table(self) -> Group:
        """For a terminal: 80 columns at most, whatever the data."""
        from export.data.survey.table import table

        return table(self)

    def draw(self, path: str | Path) -> None:
        """A picture: sound, levels and lengths by class. See ``export.data.survey.picture``."""
        from export.data.survey.picture import draw

        draw(self, Path(path))

    def to_json(self) -> dict[str, Any]:
        """Plain values: all attributes but the level and length of each recording."""
        return {
            "data": str(self.root),
            "recordings": self.recordings,
            "read": self.read,
            "seconds": round(self.seconds, 3),
            "sources": self.sources,
            "classes": [_plain(each) for each in self.classes],
            "held_out": {
                part: {"why": self.why.get(part, ""), "sources": list(found)}
                for part, found in self.held_out.items()
            },
            "backgrounds": self.backgrounds,
            "ignored": self.ignored,
            "warnings": [
                {"kind": each.kind, "text": each.text, "named": list(each.named)} for each in self.warnings
            ],
        }


def survey(
    data: Dataset,
    plan: SplitConfig | None = None,
    *,
    everything: bool = False,
    sample_rate: int = SAMPLE_RATE,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Survey:
    """Listen to a data set and say what it holds. Nothing is written.

    Args:
        data: as ``read_dataset`` gives it, or divided already.
        plan: how training will divide it.
        everything: read all recordings, of very large data sets too; see ``listen``.
        sample_rate: Hz, to which training will resample; what is above half of it is not compared.
        workers: threads; None = one per core.
        progress: called with (recordings read, recordings to read).

    Raises:
        DataError: the plan names a fold or group that does not exist. What else training would refuse is a warning.
    """
    division = divide(data, plan)
    divided = division.data
    heard = listen(divided.recordings, everything=everything, workers=workers, progress=progress)
    classes = class_figures(divided, heard)
    read = len(heard.sounds)
    usable = max(1, read + len(heard.unreadable))
    return Survey(
        root=data.root,
        classes=classes,
        recordings=len(divided.recordings),
        read=read + len(heard.unreadable),
        seconds=sum(sound.seconds for sound in heard.sounds.values()) * len(divided.recordings) / usable,
        sources=len({recording.group for recording in divided.recordings}),
        held_out={
            part: tuple(sorted({recording.group for recording in divided.part(part)}))
            for part in SPLITS
            if part != "train" and divided.part(part)
        },
        why=division.why,
        backgrounds=len(data.backgrounds),
        ignored=len(data.ignored),
        warnings=find_warnings(division, classes, heard, sample_rate),
    )


def _plain(each: ClassFigures) -> dict[str, Any]:
    return {
        "class": each.name if each.name != NO_CLASS else None,
        "recordings": each.recordings,
        "read": each.read,
        "unreadable": each.unreadable,
        "seconds": round(each.seconds, 3),
        "sources": each.sources,
        "splits": dict(each.splits),
        "sample_rates": {str(rate): n for rate, n in each.sample_rates.items()},
        "median_seconds": round(each.median_seconds, 3),
        "level_dbfs": round(each.level, 1),
        "silence": round(each.silence, 4),
        "bandwidth_hz": round(each.bandwidth),
    }
