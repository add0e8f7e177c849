"""What SIGHUP does to ``stream-classify serve``."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from stream.cli.serve_settings import changed_keys
from stream.errors import StreamClassifyError

if TYPE_CHECKING:
    from stream.server.access.access import Access
    from stream.server.station import Station
    from stream.server.station.station_file import StationReader, StationSettings

log = logging.getLogger(__name__)


def reloading(
    ctx: click.Context,
    access: Access,
    station: Station,
    reader: StationReader,
    file: StationSettings | None,
) -> Callable[[], None]:
    """What SIGHUP does: tokens and sources as their files say them now. What cannot be used changes nothing."""

    def reload() -> None:
        try:
            access.reload()
            if file is None:
                log.warning("tokens were read again")
                return
            now = reader.read(str(file.document.path))
            tell_what_needs_a_restart(ctx, file, now)
            found = station.replace_sources(now.sources)
        except StreamClassifyError as error:
            log.warning("not reloaded: %s", error)
            return
        words = [
            f"{kind} {', '.join(names)}"
            for kind, names in (
                ("added", found.added),
                ("changed", found.changed),
                ("removed", found.removed),
            )
            if names
        ]
        log.warning("settings and tokens were read again: %s", "; ".join(words) or "all sources as before")

    return reload


def tell_what_needs_a_restart(ctx: click.Context, file: StationSettings, now: StationSettings) -> None:
    """Log which keys of ``[server]`` are no longer as they were when the command began, if any.

    Args:
        ctx: of the command.
        file: as it was then.
        now: as it is.
    """
    if changed := changed_keys(ctx, file.server, now.server):
        log.warning(
            "[server] %s: changed in the settings; this takes effect with a restart", ", ".join(changed)
        )
