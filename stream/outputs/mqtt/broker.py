"""Broker: where the broker is and how to be let in, checked before anything is connected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stream.errors import OutputError, UsageError
from stream.printable import printable

if TYPE_CHECKING:  # help, which reads the options, does without
    import ssl

PORTS = {"mqtt": 1883, "mqtts": 8883}
LARGEST_SECRET_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker, and who we are to it.

    Attributes:
        host, port: where it listens.
        user, password: None where it asks for none.
        tls: how its certificate is checked; None for a connection in the clear.
    """

    host: str
    port: int
    user: str | None = None
    password: str | None = None
    tls: ssl.SSLContext | None = None


def find_broker(
    url: str,
    *,
    user: str | None = None,
    password_file: str | None = None,
    authorities: str | None = None,
    certificate: str | None = None,
    key: str | None = None,
) -> Broker:
    """The broker that the options describe.

    Args:
        url: ``mqtt://[USER@]HOST[:PORT]``, or ``mqtts://`` for TLS.
        user: who we are, where the address does not say it.
        password_file: its first line is the password.
        authorities: certificates that vouch for the broker (PEM), where the system's do not.
        certificate, key: who we are to a broker that wants certificates (PEM); the key may be in the same file.

    Raises:
        UsageError: an address or a combination that makes no sense.
        OutputError: a file that cannot be used.
    """
    scheme, host, port, named = _parts(url)
    if user is not None and named is not None and user != named:
        raise UsageError(f"--mqtt-user {user!r}: the address names {named!r}; leave one of them out")
    user = user or named
    if password_file is not None and user is None:
        raise UsageError("--mqtt-password-file: whose password is it? add --mqtt-user NAME")
    if key is not None and certificate is None:
        raise UsageError("--mqtt-key: belongs to a certificate; add --mqtt-cert FILE")
    tls = None
    if scheme == "mqtts":
        tls = _tls(authorities, certificate, key)
    elif authorities is not None or certificate is not None:
        raise UsageError("--mqtt-ca and --mqtt-cert: are for addresses that begin with mqtts://")
    return Broker(host, port, user, None if password_file is None else _password(password_file), tls)


def check_url(url: str) -> str:
    """The address as it was given.

    Raises:
        UsageError: no address of a broker.
    """
    _parts(url)
    return url


def _parts(url: str) -> tuple[str, str, int, str | None]:
    """Scheme, host, port and user of an address."""
    from urllib.parse import unquote, urlsplit

    def refusal(what: str) -> UsageError:
        shown = printable(_without_password(url))
        return UsageError(
            f"--mqtt {shown!r}: {what}; want mqtt://HOST, mqtts://HOST or mqtt://USER@HOST:PORT"
        )

    if not url.strip() or not url.isprintable() or " " in url:
        raise refusal("is no address")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise refusal(str(error).splitlines()[0]) from None
    if parts.scheme not in PORTS:
        named = (
            f"{parts.scheme}:// is none of a broker that is known here" if "://" in url else "has no scheme"
        )
        raise refusal(named)
    if parts.password is not None:
        raise refusal("a password in an address can be read by others; put it into --mqtt-password-file FILE")
    host = parts.hostname or ""
    try:
        host.encode("idna")
    except UnicodeError:
        raise refusal("the name of the host is none") from None
    if not host:
        raise refusal("names no host")
    if port == 0:
        raise refusal("port 0 is none")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise refusal("has something behind the host; topics are set by --mqtt-topic")
    named_user = None if parts.username is None else unquote(parts.username)
    return parts.scheme, host, PORTS[parts.scheme] if port is None else port, named_user or None


def _without_password(url: str) -> str:
    """An address, perhaps a malformed one, with nothing that may be a password."""
    before, at, after = url.rpartition("@")
    if not at:
        return url
    scheme, slashes, who = before.rpartition("://")
    user, colon, _ = who.partition(":")
    return f"{scheme}{slashes}{user}{':***' if colon else ''}@{after}"


def _password(path: str) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST_SECRET_BYTES + 1)
        password = data.decode().split("\n", 1)[0].rstrip("\r")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not text in UTF-8"
        raise OutputError(
            f"--mqtt-password-file {printable(path)}: {reason}; want a file whose first line is the password"
        ) from None
    if not password or len(data) > LARGEST_SECRET_BYTES:
        raise OutputError(
            f"--mqtt-password-file {printable(path)}: its first line is no password; want a file with one line"
        )
    return password


def _tls(authorities: str | None, certificate: str | None, key: str | None) -> ssl.SSLContext:
    import ssl

    try:
        context = ssl.create_default_context(cafile=authorities)
    except (OSError, ValueError) as error:
        raise OutputError(
            f"--mqtt-ca {printable(str(authorities))}: {_reason(error)}; want certificates in PEM"
        ) from None
    if certificate is not None:
        try:
            context.load_cert_chain(certificate, key, password=_refuse_to_ask)
        except (OSError, ValueError) as error:
            named = printable(certificate) + ("" if key is None else f" and --mqtt-key {printable(key)}")
            raise OutputError(
                f"--mqtt-cert {named}: {_reason(error)}; want a certificate and its key in PEM, without a passphrase"
            ) from None
    return context


def _refuse_to_ask() -> str:
    """OpenSSL would ask on the terminal for the passphrase of a key."""
    raise ValueError("the key has a passphrase")


def _reason(error: Exception) -> str:
    import ssl

    if isinstance(error, ssl.SSLError):
        return f"cannot be used ({(error.reason or 'unknown format').replace('_', ' ').lower()})"
    return getattr(error, "strerror", None) or str(error)
