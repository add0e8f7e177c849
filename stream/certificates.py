"""Whether an https server is who it says: the authorities that are trusted, and why a server is not."""

from __future__ import annotations

import os
import socket
import ssl
from urllib.parse import urlsplit

_SYSTEM_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Arch, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # macOS, BSD
)
SECURE_SCHEMES = ("https", "rtsps", "rtmps")


def authorities_file() -> str | None:
    """A file of trusted certificates: that of SSL_CERT_FILE, of the system, or of ``certifi``; None without any."""
    paths = ssl.get_default_verify_paths()
    for path in (paths.cafile, *_SYSTEM_FILES):
        if path and os.path.isfile(path):
            return path
    try:
        import certifi
    except ImportError:
        return None
    return str(certifi.where())


def certificate_problem(url: str, timeout: float) -> str:
    """Why the certificate of the server behind ``url`` is not accepted; "" if it is, or cannot be asked for."""
    parts = urlsplit(url)
    try:
        context = ssl.create_default_context(cafile=authorities_file())
        with socket.create_connection(
            (parts.hostname or "", parts.port or {"rtsps": 322}.get(parts.scheme, 443)), timeout
        ) as connection:
            context.wrap_socket(connection, server_hostname=parts.hostname).close()
    except ssl.SSLCertVerificationError as error:
        return error.verify_message.rstrip(".")
    except (OSError, ValueError):
        pass
    return ""
