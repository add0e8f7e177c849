"""SpeechRule: what counts as speech that nobody may keep, and how much around it goes with it."""

from __future__ import annotations

from dataclasses import dataclass

from stream.errors import SpecError

SPEECH = "speech"  # the class of the bundled model that decides
MODEL = "default"  # of the bundled models
LONGEST_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechRule:
    """When sound is silenced.

    A moment counts as speech where the odds of speech, averaged over ``smoothing`` seconds around it, reach those of
    ``threshold``. Silenced are also ``before`` seconds in front of it, because a voice is recognised after it has
    begun, and ``after`` seconds behind it. So sound is held back for ``before``, half of ``smoothing``, and some 80 ms
    in which the model decides. A lower threshold and longer margins let less speech through and lose more of the rest.

    The defaults are chosen on validation scenes, see `export.recipes.speech_music_noise.release.redaction`. A second,
    lower threshold at which speech ends gains nothing there over this one.

    Raises:
        SpecError: a probability outside 0 to 1, or a time out of range.
    """

    threshold: float = 0.04
    smoothing: float = 0.3
    before: float = 0.7
    after: float = 0.2

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise SpecError(f"speech threshold {self.threshold:g}: want a probability between 0 and 1")
        for name, value in (("smoothing", self.smoothing), ("before", self.before), ("after", self.after)):
            if not 0 <= value <= LONGEST_SECONDS:
                raise SpecError(f"{name} {value:g}: want 0 to {LONGEST_SECONDS:g} seconds")
