"""Switches: what can be turned on and off while the program listens, from any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from stream.errors import UsageError


class Switches:
    """Named switches, all on at first.

    Args:
        names: what can be switched.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._on = dict.fromkeys(names, True)
        self._watchers: list[Callable[[str, bool], None]] = []
        self._lock = threading.Lock()

    @property
    def names(self) -> tuple[str, ...]:
        """What can be switched, in the order given."""
        with self._lock:
            return tuple(self._on)

    def is_on(self, name: str) -> bool:
        """Whether it is on. What is no switch is always on."""
        with self._lock:
            return self._on.get(name, True)

    def set(self, name: str, on: bool) -> None:
        """Turn a switch on or off, and tell those who watch, in the calling thread, if it changed.

        Raises:
            UsageError: no such switch.
        """
        with self._lock:
            if name not in self._on:
                raise UsageError(
                    f"switch {name!r}: there is none; there are {', '.join(self._on) or 'none at all'}"
                )
            changed = self._on[name] is not on
            self._on[name] = on
            watchers = list(self._watchers) if changed else []
        for watcher in watchers:
            watcher(name, on)

    def watch(self, watcher: Callable[[str, bool], None]) -> None:
        """Call ``watcher(name, on)`` at every change from now on."""
        with self._lock:
            self._watchers.append(watcher)


def make_switches(
    *, groups: Iterable[str] = (), schedules: Iterable[str] = (), outputs: Iterable[str] = ()
) -> Switches:
    """The switches of a run.

    Args:
        groups, schedules, outputs: their names; several outputs of one name have one switch.

    Raises:
        UsageError: a name that two of the three have.
    """
    kinds: dict[str, str] = {}
    for kind, names in (("group", groups), ("schedule", schedules), ("output", outputs)):
        for name in names:
            if kinds.setdefault(name, kind) != kind:
                raise UsageError(
                    f"{kind} {name!r}: there is a {kinds[name]} of this name, and each is a switch; "
                    "choose another name"
                )
    return Switches(kinds)
