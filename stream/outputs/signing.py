"""Signed requests: headers by which a receiver knows who sent a body, and when (standardwebhooks.com, symmetric)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from pathlib import Path

from stream.errors import UsageError

PREFIX = "whsec_"  # of a secret that is written in base64
MOST_BYTES = 4096


def read_secret(path: str) -> bytes:
    """The key in a file: what follows ``whsec_`` in base64, or else the file's text as it is, without the line's end.

    Raises:
        UsageError: it cannot be read, or holds no secret.
    """
    try:
        with Path(path).open("rb") as file:
            found = file.read(MOST_BYTES + 1).strip()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"--webhook-secret-file {path}: {why}; name a file that holds the secret") from None
    if not found or len(found) > MOST_BYTES:
        what = "is empty" if not found else f"holds more than {MOST_BYTES} bytes"
        raise UsageError(f"--webhook-secret-file {path}: {what}; write one secret into it")
    if not found.startswith(PREFIX.encode()):
        return found
    try:
        key = base64.b64decode(found[len(PREFIX) :], validate=True)
    except binascii.Error:
        key = b""
    if not key:
        raise UsageError(
            f"--webhook-secret-file {path}: what follows {PREFIX} is no base64; copy the secret again, in one line"
        )
    return key


def signed_headers(id: str, seconds: float, body: bytes, key: bytes | None) -> dict[str, str]:
    """The headers of one attempt.

    Args:
        id: of the message, the same in every attempt.
        seconds: of this attempt, since 1970.
        body: as it is sent.
        key: None sends no signature.
    """
    headers = {"webhook-id": id, "webhook-timestamp": str(int(seconds))}
    if key is not None:
        text = f"{id}.{headers['webhook-timestamp']}.".encode() + body
        digest = hmac.new(key, text, hashlib.sha256).digest()
        headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
    return headers
