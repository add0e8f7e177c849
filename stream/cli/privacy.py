"""``--no-audio`` and ``--no-speech``: what stands between the sound and everything that could keep it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from stream.outputs.sink import Guard, GuardMaker, Sink
    from stream.privacy.redactor import Redactor

PRIVACY_OPTIONS: tuple[Any, ...] = (
    click.option(
        "--no-audio",
        is_flag=True,
        help="Never write or send sound. Outputs that would are refused, and so are the keys that keep a sound.",
    ),
    click.option(
        "--no-speech",
        is_flag=True,
        help="Silence speech in all sound that is written or sent. A second model listens for it, and sound is held "
        "back for about a second until it has decided.",
    ),
)
NO_SOUND_KEPT = "no sound is kept: --no-audio"  # what the keys that keep sounds say


def make_guard(*, no_audio: bool, no_speech: bool, beside: Sequence[Sink] = ()) -> GuardMaker | None:
    """What stands before the outputs that write sound, as the options ask for it; None where all may have it.

    Args:
        no_audio, no_speech: the options.
        beside: further sinks that keep sound, to stand behind the same guard.
    """
    if no_audio:
        from stream.privacy.without_sound import WithoutSound

        return lambda sinks, history_seconds: WithoutSound([*beside, *sinks])
    if not no_speech:
        return None

    from stream.privacy.without_speech import WithoutSpeech

    def guard(sinks: Sequence[Sink], history_seconds: float) -> Guard:
        seconds = max([history_seconds, *(getattr(sink, "history_seconds", 0.0) for sink in beside)])
        everyone = [*beside, *sinks]
        if not everyone:  # nobody would hear what the second model finds
            from stream.privacy.without_sound import WithoutSound

            return WithoutSound([])
        return WithoutSpeech(everyone, warm_redactor(), history_seconds=seconds)

    return guard


def warm_redactor() -> Redactor:
    """A redactor whose first, slow calls are over."""
    import numpy as np

    from stream.messages import Chunk
    from stream.privacy.redactor import Redactor

    redactor = Redactor()
    redactor.push(Chunk(np.zeros(redactor.sample_rate // 2, np.float32), 0, redactor.sample_rate))
    redactor.reset()
    return redactor
