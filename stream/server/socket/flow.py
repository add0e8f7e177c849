"""Flow: how far a sender is ahead of real time, and what is done about it."""

from __future__ import annotations

from stream.server.socket.codes import StreamEnds


class Flow:
    """Keeps a stream to real time, give or take a lead.

    A sender may be up to ``lead`` seconds of sound ahead of the clock. Beyond, its sound is read only as fast as time
    passes, so its own writes wait. One that goes on pushing for ``patience`` seconds is a flood, and is ended. A sender
    that is behind may catch up, by up to ``credit`` seconds: sound that it kept while a connection was broken.

    Args:
        lead, patience, credit: seconds.
        now: of the clock that all calls are told.
        what: comes, for people.
    """

    def __init__(self, lead: float, patience: float, credit: float, now: float, what: str = "sound") -> None:
        self._what = what
        self._lead, self._patience, self._credit = lead, patience, credit
        self._even = now  # the moment at which the sound so far would have been in real time
        self._since: float | None = None  # throttled

    @property
    def throttled(self) -> bool:
        """Whether the sender is kept waiting."""
        return self._since is not None

    def came(self, seconds: float, now: float) -> float:
        """``seconds`` of sound came.

        Returns:
            How many seconds to wait before more is read; 0 = none.

        Raises:
            StreamEnds: ``flooding``.
        """
        even, oldest = self._even, now - self._credit
        self._even = even = (even if even > oldest else oldest) + seconds
        ahead = even - now
        if ahead <= self._lead:
            if self._since is not None and ahead <= self._lead / 2:
                self._since = None
            return 0.0
        if self._since is None:
            self._since = now
        elif now - self._since > self._patience:
            raise StreamEnds(
                "flooding",
                f"{self._what} came faster than real time for {now - self._since:.0f} s; send sound as it is "
                "recorded, or send a recording to /v1/classify",
            )
        return ahead - self._lead
