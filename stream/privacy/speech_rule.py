"""SpeechRule: what counts as speech that nobody may keep, and how much around it goes with it."""

from __future__ import annotations

from dataclasses import dataclass

from stream.errors import SpecError

SPEECH = "speech"  # the class of the bundled model that decides
MODEL = "default"  # of the bundled models


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechRule:
    """When sound is silenced.

    Speech begins where its probability reaches ``threshold`` and lasts until it is below ``release``. Silenced are
    also ``before`` seconds in front of it, because a voice is recognised after it has begun, and ``after`` seconds
    behind it, which bridge the pauses between words. Sound is held back for ``before`` seconds and some 60 ms in which
    the model decides. Lower thresholds and longer margins let less speech through and lose more of the rest.

    Raises:
        SpecError: a probability outside 0 to 1, a release above the threshold, or a margin out of range.
    """

    threshold: float = 0.1
    release: float = 0.05
    before: float = 0.9
    after: float = 0.6

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1 or not 0 <= self.release <= self.threshold:
            raise SpecError(
                f"speech from {self.threshold:g} until {self.release:g}: "
                "want probabilities above 0 and up to 1, and the second not above the first"
            )
        for name, value, low in (("before", self.before, 0.1), ("after", self.after, 0.0)):
            if not low <= value <= 60:
                raise SpecError(f"{name} {value:g}: want {low:g} to 60 seconds of sound around speech")
