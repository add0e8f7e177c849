"""The token file: who holds which token, as hashes, and what each may do.

A token is 256 random bits, so nobody can find it by trying, and one round of SHA-256 hides it as well as a slow
password hash would: those make guessing costly where there is something to guess.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import stat
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from stream.atomic import write_bytes
from stream.errors import UsageError
from stream.printable import printable

Scope = Literal["listen", "read", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
_PREFIX = "sc_"  # so that scanners for leaked secrets can find them
_NAME = re.compile(r"[\w.@-]{1,64}")
_HASH = re.compile(r"sha256:([0-9a-f]{64})")
MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks.

    Attributes:
        name: of the token; "local" where none is needed.
        scopes: what is granted: "listen" (send sound, get its results), "read" (the station's sources and events),
            "admin" (change the station, and all else).
    """

    name: str
    scopes: frozenset[Scope]

    def may(self, scope: Scope) -> bool:
        """Whether ``scope`` is granted."""
        return scope in self.scopes or "admin" in self.scopes


@dataclass(frozen=True, slots=True)
class Token:
    """One line of the file: whose token it is, and its SHA-256."""

    identity: Identity
    digest: bytes


class TokenFile:
    """The tokens of a file, as they were when it was read last.

    Args:
        path: lines ``name scope[,scope] sha256:…``; empty lines and those that begin with # say nothing.

    Raises:
        UsageError: it cannot be read, anybody may write to it, or a line is not as it must be.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.reload()

    def reload(self) -> None:
        """Read the file again. After an error the tokens stay as they were."""
        self._tokens = _read(self.path)

    def __len__(self) -> int:
        return len(self._tokens)

    def find(self, token: str) -> Identity | None:
        """Whose token it is; takes the same time for every wrong one."""
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        found = None
        for each in self._tokens:  # all of them, so that the time does not tell which one was near
            if hmac.compare_digest(each.digest, digest):
                found = each.identity
        return found


def add_token(path: str | Path, name: str, scopes: Collection[Scope]) -> str:
    """Make a token and put its hash into the file, which is made if it is not there.

    Returns:
        The token. It stands nowhere else.

    Raises:
        UsageError: the name is not one word, or is taken; or the file cannot be used.
        OutputError: the file cannot be written.
    """
    path = Path(path)
    if not _NAME.fullmatch(name):
        raise UsageError(f"token name {name!r}: want 1 to 64 letters, digits and . _ - @")
    old = path.read_text("utf-8") if os.path.exists(path) and _read(path) is not None else ""
    if any(token.identity.name == name for token in (_read(path) if old else ())):
        raise UsageError(f"token {name}: stands in {path} already; choose another name, or remove its line")
    token = _PREFIX + secrets.token_urlsafe(32)
    digest = hashlib.sha256(token.encode()).hexdigest()
    if old and not old.endswith("\n"):
        old += "\n"
    ordered = ",".join(scope for scope in SCOPES if scope in scopes)
    write_bytes(path, f"{old}{name} {ordered} sha256:{digest}\n".encode())
    path.chmod(0o600)
    return token


def _read(path: Path) -> list[Token]:
    try:
        mode = path.stat().st_mode
        if os.name == "posix" and mode & stat.S_IWOTH:
            raise UsageError(
                f"{path}: anybody on this machine may add a token to it; run: chmod 600 {printable(str(path))}"
            )
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise UsageError(f"{path}: is larger than {MAX_BYTES} bytes; this is no token file")
        text = data.decode("utf-8")
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read: {error.strerror}; make it with "
            "stream-classify serve --new-token NAME --token-file FILE"
        ) from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: is not text; this is no token file") from None
    tokens: list[Token] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            tokens.append(_token(line, f"{path}:{number}"))
    names = [token.identity.name for token in tokens]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{path}: token {name} stands there twice; remove a line")
    return tokens


def _token(line: str, where: str) -> Token:
    words = line.split()
    if len(words) != 3 or not _NAME.fullmatch(words[0]):
        raise UsageError(f"{where}: want NAME SCOPE[,SCOPE] sha256:HASH")
    name, scopes, hashed = words
    unknown = sorted(set(scopes.split(",")) - set(SCOPES))
    if unknown:
        raise UsageError(f"{where}: no scope {printable(unknown[0])!r}; there are {', '.join(SCOPES)}")
    found = _HASH.fullmatch(hashed)
    if found is None:
        # Not shown: it may be the token itself.
        raise UsageError(f"{where}: the third word must be sha256: and 64 hexadecimal digits")
    granted = frozenset(scope for scope in SCOPES if scope in scopes.split(","))
    return Token(Identity(name, granted), bytes.fromhex(found[1]))
