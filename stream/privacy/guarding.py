"""Which guard stands before outputs that keep sound."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stream.messages import Chunk
from stream.outputs.sink import Guard, GuardMaker, Sink
from stream.privacy.redactor import Redactor
from stream.privacy.without_sound import WithoutSound
from stream.privacy.without_speech import WithoutSpeech


def make_guard(*, no_audio: bool, no_speech: bool, beside: Sequence[Sink] = ()) -> GuardMaker | None:
    """What stands before the outputs that write sound; None where all may have it.

    Args:
        no_audio: they get no sound.
        no_speech: they get it with its speech silenced.
        beside: further sinks that keep sound, to stand behind the same guard.
    """
    if no_audio:
        return lambda sinks, history_seconds: WithoutSound([*beside, *sinks])
    if not no_speech:
        return None

    def guard(sinks: Sequence[Sink], history_seconds: float) -> Guard:
        everyone = [*beside, *sinks]
        if not everyone:  # nobody would hear what the second model finds
            return WithoutSound([])
        seconds = max([history_seconds, *(getattr(sink, "history_seconds", 0.0) for sink in beside)])
        return WithoutSpeech(everyone, warm_redactor(), history_seconds=seconds)

    return guard


def warm_redactor() -> Redactor:
    """A redactor whose first, slow calls are over."""
    redactor = Redactor()
    redactor.push(Chunk(np.zeros(redactor.sample_rate // 2, np.float32), 0, redactor.sample_rate))
    redactor.reset()
    return redactor
