"""Desk: the screen, the keys and the loudspeaker of a review, kept together until the person leaves."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from rich.console import Console

from stream.dashboard.terminal import Terminal
from stream.dashboard.theme import Theme
from stream.errors import OutputError
from stream.review.drawing import LoadedSound, draw
from stream.review.player import Player
from stream.review.session import Session

LONGEST_SECONDS = 60.0  # shown and played of a clip
MOST_VALUES = 20_000_000  # read of a file of anybody
WAIT_SECONDS = 0.5  # between two looks at the size of the terminal


class Desk:
    """Shows each clip of a session and plays it when it comes up.

    Args:
        session: what is judged.
        console: a terminal.
        plays: whether clips are played at all.
    """

    def __init__(self, session: Session, console: Console, *, plays: bool = True) -> None:
        self._session = session
        self._console = console
        self._player = Player() if plays else None
        self._loaded: tuple[Path, LoadedSound] | None = None
        self._played: tuple[int, int] | None = None

    def run(self) -> None:
        """Until all is judged or the person leaves. The terminal is then as it was.

        Raises:
            OutputError: the terminal cannot be written any more.
        """
        try:
            with Terminal(self._console) as terminal:
                self._loop(terminal)
        except OSError as error:
            raise OutputError(f"the terminal cannot be written: {error.strerror}") from error
        finally:
            if self._player is not None:
                self._player.stop()

    def _loop(self, terminal: Terminal) -> None:
        shown: object = None
        while not self._session.ended and terminal.keys:
            self._play()
            size = self._size()
            state = (self._session.place, self._session.typed, self._session.note, size, terminal.ground)
            if state != shown:
                shown = state
                screen = draw(self._session, self._sound(), *size, Theme.of(self._console, terminal.ground))
                self._console.clear()
                self._console.print(screen, end="", crop=False, no_wrap=True)
            typed = terminal.wait(WAIT_SECONDS)
            self._session.press(typed)
            caught = set(terminal.caught)
            terminal.caught.clear()
            if caught - {"SIGTSTP", "SIGWINCH"}:
                return
            if "SIGTSTP" in caught:
                terminal.suspend()
            if "SIGTSTP" in caught or "\f" in typed:
                shown = None

    def _play(self) -> None:
        """Once when a clip comes up, and whenever it is asked for."""
        session = self._session
        if self._player is None or session.typed is not None:
            return
        wanted = (session.place, session.plays)
        if wanted == self._played:
            return
        asked = self._played is not None and self._played[1] != session.plays
        self._played = wanted
        self._player.stop()
        sound = self._sound()
        if session.clip is None or sound.trouble or not len(sound.samples):
            return
        said = self._player.play(sound.samples, sound.sample_rate)
        if asked or said != "playing":
            session.note = said
        if said != "playing" and not asked:
            self._player = None  # the pictures are enough; asking again would not help

    def _sound(self) -> LoadedSound:
        clip = self._session.clip
        if clip is None:
            return LoadedSound(np.zeros(0, np.float32), 1, 0.0)
        if self._loaded is None or self._loaded[0] != clip.path:
            self._loaded = (clip.path, load_sound(clip.path))
        return self._loaded[1]

    def _size(self) -> tuple[int, int]:
        try:
            columns, rows = os.get_terminal_size(self._console.file.fileno())
        except (OSError, ValueError):
            return self._console.size
        return (columns, rows) if columns and rows else self._console.size


def load_sound(path: Path) -> LoadedSound:
    """The first minute of a clip; with ``trouble`` where it cannot be read."""
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            samples = file.read(round(LONGEST_SECONDS * file.samplerate), "float32", always_2d=True).mean(
                axis=1
            )
            return LoadedSound(samples, file.samplerate, file.frames / file.samplerate)
    except (OSError, soundfile.SoundFileError) as error:
        return LoadedSound(np.zeros(0, np.float32), 1, 0.0, f"cannot be read: {' '.join(str(error).split())}")
