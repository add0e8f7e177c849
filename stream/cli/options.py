"""What was asked for."""

from __future__ import annotations

from dataclasses import dataclass

from stream.listening import Listening


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(Listening):
    """Options of the root command, by their long names, as file, environment and command line together have them."""

    heard: str
    screenshot: str | None
    verbose: bool
