"""Controls: what the keys of the dashboard do, and the help line that names them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from stream.dashboard.layout import View
from stream.dashboard.prompt import Prompt
from stream.errors import UsageError
from stream.telemetry import Readings

_SEQUENCE = re.compile(r"\x1b(?:\[[0-9;]*[A-Za-z~]|O[A-Za-z])|.", re.DOTALL)
_NAMES = {
    "\x1b[A": "up", "\x1bOA": "up", "\x1b[B": "down", "\x1bOB": "down",
    "\x1b[C": "right", "\x1bOC": "right", "\x1b[D": "left", "\x1bOD": "left",
    "\x1b[5~": "pageup", "\x1b[6~": "pagedown",
}  # fmt: skip
PAGE_EVENTS = 4  # that one press scrolls by


def split_keys(typed: str) -> list[str]:
    """Single keys of what was typed: letters as they are, and names such as "up" for those that are sequences."""
    return [_NAMES.get(key, key) for key in _SEQUENCE.findall(typed)]


@dataclass(frozen=True, slots=True)
class Question:
    """What a key wants to know before it does something; a line is typed as the answer.

    Attributes:
        words: what is asked for, a word or two.
        answer: called from the drawing thread with the line; what it says is shown for some seconds. A UsageError says
            why the line cannot be taken, and the question stays.
    """

    words: str
    answer: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Key:
    """What a key does besides those of `Controls`.

    Attributes:
        word: what it does, for the bottom line.
        press: called from the drawing thread when it is pressed; what it says is shown for some seconds, and a
            question is asked on the bottom line.
        is_main: shown without being asked for.
    """

    word: str
    press: Callable[[], str | Question]
    is_main: bool = True


class Tuner(Protocol):
    """Changes a class while it is listened to. Each method returns what to show, and may be called from any thread."""

    def move(self, label: str, steps: int) -> str:
        """Its threshold, by steps up or down."""

    def mute(self, label: str) -> str:
        """No more events of it; called again, as before."""


class Controls:
    """The state of the screen that keys change.

    Args:
        keys: lower-case letter -> what it does.
        tuner: for the keys that change a class; None has no such keys.
        save: writes a picture, and returns what to show.

    Attributes:
        view: what is chosen, scrolled to, paused and asked.
    """

    def __init__(self, keys: Mapping[str, Key], tuner: Tuner | None, save: Callable[[], str]) -> None:
        self._keys, self._tuner, self._save = dict(keys), tuner, save
        self._page = 0  # of the help, from 1; 0 = none
        self._pages = 1
        self._question: Question | None = None
        self.view = View()

    @property
    def asking(self) -> bool:
        """A line is being typed: every key belongs to it."""
        return self._question is not None

    def press(self, key: str, readings: Readings) -> str | None:
        """Do what a key does; what to say about it, None where the screen shows it."""
        if self._question is not None:
            return self._type(key, self._question)
        key, view = key.lower(), self.view
        if key in self._keys:
            said = self._keys[key].press()
            if isinstance(said, str):
                return said
            self._question = said
            self.view = replace(view, prompt=Prompt(said.words))
            return None
        if key == "?":
            self._page = (self._page + 1) % (self._pages + 1)
        elif key in ("p", " "):
            self.view = replace(view, paused=not view.paused)
        elif key == "s":
            return self._save()
        elif key in ("pageup", "pagedown", "[", "]"):
            by = PAGE_EVENTS if key in ("pagedown", "]") else -PAGE_EVENTS
            most = max(0, len(readings.events) - 1)
            self.view = replace(view, skipped=min(most, max(0, view.skipped + by)))
        elif self._tuner is not None:
            return self._tune(key, readings)
        return None

    def _type(self, key: str, question: Question) -> str | None:
        """Take one key of an answer."""
        assert self.view.prompt is not None
        prompt = self.view.prompt.typing(key)
        said = "" if prompt.ended == "left" else None
        if prompt.ended == "taken":
            try:
                said = question.answer(prompt.typed.strip())
            except UsageError as error:
                prompt = replace(prompt, ended="", trouble=str(error))
        if prompt.ended:
            self._question = None
        self.view = replace(self.view, prompt=None if prompt.ended else prompt)
        return said

    def _tune(self, key: str, readings: Readings) -> str | None:
        assert self._tuner is not None
        chosen, count = self.view.chosen, len(readings.labels)
        if key in ("up", "down"):
            step = 1 if key == "down" else -1
            first = 0 if key == "down" else count - 1
            self.view = replace(self.view, chosen=first if chosen is None else (chosen + step) % count)
        elif key in ("left", "right", "m"):
            if chosen is None:
                return "first choose a class with the arrows up and down"
            label = readings.labels[chosen]
            return (
                self._tuner.mute(label)
                if key == "m"
                else self._tuner.move(label, 1 if key == "right" else -1)
            )
        return None

    def hint(self, width: int) -> str:
        """The keys, as many as fit into ``width`` cells: those that matter most, or a page of all of them."""
        if not self._page:
            main = [f"{key} {what.word}" for key, what in self._keys.items() if what.is_main]
            return "  ".join([*main, "? keys", "q quit"])
        pages = _pages(self._words(), max(1, width))
        self._pages = len(pages)
        self._page = min(self._page, len(pages))
        return pages[self._page - 1]

    def _words(self) -> list[str]:
        words = [f"{key} {what.word}" for key, what in self._keys.items()]
        words += ["p pause"]
        if self._tuner is not None:
            words += ["up/down class", "left/right threshold", "m mute"]
        return [*words, "[ ] scroll events", "s save picture", "q quit"]


def _pages(words: list[str], width: int) -> list[str]:
    """The words on as many lines as they need; all but the last end with the key that shows the next one."""
    whole = "  ".join([*words, "? less"])
    if len(whole) <= width:
        return [whole]
    pages: list[str] = []
    line = ""
    for word in words:
        longer = f"{line}  {word}".strip()
        if line and len(longer) + len("  ? more") > width:
            pages.append(f"{line}  ? more")
            longer = word
        line = longer
    return [*pages, f"{line}  ? less"]
