"""Why a stream was refused or ended: a code for programs, and the WebSocket close code that goes with it."""

from __future__ import annotations

from dataclasses import dataclass

from stream.errors import StreamClassifyError


@dataclass(frozen=True, slots=True)
class Ending:
    """One way in which a stream ends.

    Attributes:
        close: of the WebSocket. Those from 4400 on read like the status of HTTP that they end in.
        resumable: whether the stream waits for a hello with its resume token.
        meaning: for people.
    """

    close: int
    resumable: bool
    meaning: str


ENDINGS: dict[str, Ending] = {
    "bad_message": Ending(4400, False, "not JSON, an unknown type or field, or a value that is not allowed"),
    "bad_text": Ending(1007, False, "text that is not UTF-8"),
    "no_hello": Ending(4400, False, "something else came before the hello"),
    "second_hello": Ending(4400, False, "a stream has one hello"),
    "bad_sound": Ending(4400, False, "bytes that are no whole samples, or no Opus packet"),
    "bad_sample": Ending(
        4400,
        False,
        "a sample that is NaN, infinite or beyond ±1e6, and the hello does not say what is missing",
    ),
    "bad_rate": Ending(
        4400, False, "a sample rate outside what can be resampled, or not the one of the format"
    ),
    "bad_channel": Ending(4400, False, "a channel that the sound does not have"),
    "bad_rules": Ending(4400, False, "rules of the detector that are out of range, or for an unknown class"),
    "format_unavailable": Ending(4400, False, "this station cannot decode the format"),
    "unsupported_version": Ending(4400, False, "a protocol version that is not spoken here"),
    "unknown_model": Ending(4404, False, "the station does not run this model"),
    "unknown_label": Ending(4404, False, "the model has no such class"),
    "message_too_large": Ending(1009, False, "a message over the limit"),
    "hello_timeout": Ending(4408, False, "no hello in time"),
    "idle_timeout": Ending(4408, True, "nothing came for too long"),
    "flooding": Ending(4429, False, "sound came much faster than real time for too long"),
    "slow_reader": Ending(4429, True, "replies were not read: too many events wait"),
    "full": Ending(1013, False, "every place for a stream is taken; try again later"),
    "draining": Ending(1012, True, "the station stops; connect again, perhaps elsewhere"),
    "taken_over": Ending(4409, True, "the stream goes on in another connection"),
    "resume_unknown": Ending(4404, False, "no stream has this resume token"),
    "resume_expired": Ending(4410, False, "the stream was not kept until now"),
    "resume_used": Ending(4409, False, "this resume token was used before; each ready brings a new one"),
    "resume_not_yours": Ending(4403, False, "the stream belongs to somebody else"),
    "resume_differs": Ending(4400, False, "the stream has another rate, format, model or channel"),
    "store_unavailable": Ending(
        1013, False, "it cannot be looked up now whether the stream is kept; try again"
    ),
    "failed": Ending(1011, False, "the stream cannot go on"),
}
ACCESS_CLOSES = {401: 4401, 403: 4403, 421: 4403, 429: 4429}
"""Status of what `Access` refuses -> close code."""
NORMAL, GOING_AWAY = 1000, 1001


class StreamEnds(StreamClassifyError):
    """A stream cannot begin or go on.

    Attributes:
        code: for programs: one of ``ENDINGS``, or one of `Access`.
        close: code of the WebSocket.
        resumable: whether the stream is kept for a while.
    """

    def __init__(self, code: str, message: str, *, close: int | None = None) -> None:
        super().__init__(message)
        ending = ENDINGS.get(code)
        self.code = code
        self.close = close if close is not None else NORMAL if ending is None else ending.close
        self.resumable = ending is not None and ending.resumable
