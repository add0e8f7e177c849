"""Resume tokens: what lets a client, and nobody else, go on with its stream."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Literal

_MOST_SPENT = 8
Verdict = Literal["valid", "used", "unknown"]


def new_name() -> str:
    """A name for a stream. It is not secret, and tells nothing of other streams."""
    return secrets.token_hex(8)


def name_in(token: str) -> str:
    """The name of the stream that a token is about."""
    return token.partition(".")[0]


class ResumeTokens:
    """The tokens of one stream, of which only hashes are kept.

    Every connection is given a new one. The one that it came with stays good until the client is known to have the new
    one, for the connection may break before; then it is spent.

    Args:
        stream: its name.
        valid, spent: SHA-256 of secrets, of a stream to go on with.
    """

    def __init__(self, stream: str, valid: tuple[bytes, ...] = (), spent: tuple[bytes, ...] = ()) -> None:
        self._stream = stream
        self.valid = valid
        self.spent = spent

    def renew(self) -> str:
        """A new token beside those that are good."""
        secret = secrets.token_urlsafe(24)
        self.valid = (*self.valid[-_MOST_SPENT:], _digest(secret))
        return f"{self._stream}.{secret}"

    def arrived(self) -> None:
        """The client has the newest token: the others are spent."""
        if len(self.valid) > 1:
            self.spent = (*self.spent, *self.valid[:-1])[-_MOST_SPENT:]
            self.valid = self.valid[-1:]

    def check(self, token: str) -> Verdict:
        """What ``token`` is. It takes the same time for every wrong one."""
        digest = _digest(token.partition(".")[2])
        valid = [hmac.compare_digest(digest, each) for each in self.valid]
        spent = [hmac.compare_digest(digest, each) for each in self.spent]
        return "valid" if any(valid) else "used" if any(spent) else "unknown"


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
