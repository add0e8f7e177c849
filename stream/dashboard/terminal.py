"""Terminal: takes the screen, the keys and the signals, and gives everything back as it was."""

from __future__ import annotations

import codecs
import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from rich.console import Console

from stream.dashboard.ground import QUESTION, Answers, Ground, ground_of_environment

try:
    import termios
    import tty
except ImportError:  # Windows: no keys, everything else works
    HAS_KEYS = False
else:
    HAS_KEYS = True

ANSWER_SECONDS = 0.15  # that the first drawing waits for the terminal to say what ground it has
LATE_SECONDS = 0.5  # that leaving waits for an answer that has not come, so that no shell is given it

WATCHED = ("SIGINT", "SIGTERM", "SIGTSTP", "SIGWINCH")
# What else ends a process. Watched where that is what it would do: a handler of somebody else's, or nohup, stays.
ENDING = (
    "SIGHUP", "SIGQUIT", "SIGABRT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGXCPU", "SIGPOLL",
)  # fmt: skip


class Terminal:
    """A context in which the alternate screen is shown, without cursor and echo.

    Signals only wake ``wait`` and are kept in ``caught``, so that nothing is drawn by halves. Enter it on the
    main thread; on another one the signals stay with whoever has them.

    Attributes:
        caught: names of signals that came since the list was last emptied.
        keys: a key can be read: standard input is a terminal.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.caught: list[str] = []
        self.keys = False
        self._answers = Answers()
        self._asked = False
        self._typed = b""  # while an answer was waited for
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a letter may come in two reads
        self._saved: list[Any] | None = None
        self._handlers: dict[int, Any] = {}
        self._wakeup = -1
        self._pipe: tuple[int, int] | None = None

    def __enter__(self) -> Terminal:
        self._catch_signals()
        try:
            self._take_screen()
        except BaseException:
            self._release_signals()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._give_screen_back()
        finally:
            self._release_signals()

    @property
    def ground(self) -> Ground:
        """What is drawn on, as far as is known; a late answer may change it."""
        return self._answers.ground or ground_of_environment()

    def suspend(self) -> None:
        """Give the terminal back and stop the process, as Ctrl-Z asks; go on when it is continued."""
        self._give_screen_back()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._take_screen()

    def wait(self, seconds: float) -> str:
        """Up to ``seconds``, or until a key or a signal comes: the keys pressed, "" if none."""
        if self._typed:
            typed, self._typed = self._typed, b""
            return self._decoder.decode(typed)
        sources = [self._pipe[0]] if self._pipe else []
        if self.keys:
            sources.append(sys.stdin.fileno())
        if not sources:
            threading.Event().wait(seconds)
            return ""
        ready, _, _ = select.select(sources, [], [], seconds)
        if self._pipe and self._pipe[0] in ready:
            os.read(self._pipe[0], 64)
        if not self.keys or sys.stdin.fileno() not in ready:
            return ""
        return self._decoder.decode(self._read())

    def _read(self) -> bytes:
        """What was typed, of an input that is ready."""
        read = os.read(sys.stdin.fileno(), 256)
        self.keys = bool(read)  # nothing although ready: the input has ended
        return self._answers.take(read)

    def _ask(self) -> None:
        """Ask for the ground, once, a terminal that can answer: it is standard input as well."""
        if self._asked or not self.keys or not self.console.file.isatty():
            return
        self._asked = True
        self.console.file.write(QUESTION)
        self.console.file.flush()
        self._answers.asked()
        self._await_answers(ANSWER_SECONDS)

    def _await_answers(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while self._answers.pending and self.keys and (left := end - time.monotonic()) > 0:
            if select.select([sys.stdin], [], [], left)[0]:
                self._typed += self._read()

    def _take_screen(self) -> None:
        self.keys = HAS_KEYS and sys.stdin is not None and sys.stdin.isatty()
        if self.keys:
            self._saved = termios.tcgetattr(sys.stdin.fileno())
            tty.setcbreak(sys.stdin.fileno())
            self._ask()
        self.console.set_alt_screen(True)
        self.console.show_cursor(False)

    def _give_screen_back(self) -> None:
        try:
            self.console.show_cursor(True)
            self.console.set_alt_screen(False)
        finally:
            if self._saved is not None:
                # A terminal that is gone has nothing to restore.
                with contextlib.suppress(termios.error, OSError):
                    self._await_answers(LATE_SECONDS)
                with contextlib.suppress(termios.error):
                    how = termios.TCSAFLUSH if self._answers.pending else termios.TCSADRAIN
                    termios.tcsetattr(sys.stdin.fileno(), how, self._saved)
                self._saved = None

    def _catch_signals(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for name in (*WATCHED, *ENDING):
            number = getattr(signal, name, None)
            if number is not None and (name in WATCHED or signal.getsignal(number) == signal.SIG_DFL):
                self._handlers[number] = signal.signal(number, self._handler(name))
        if os.name == "posix":
            self._pipe = os.pipe()
            os.set_blocking(self._pipe[1], False)
            self._wakeup = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)

    def _handler(self, name: str) -> Callable[[int, FrameType | None], None]:
        def note(number: int, frame: FrameType | None) -> None:
            if name == "SIGINT" and name in self.caught:
                raise KeyboardInterrupt  # the second one is for a loop that does not come round
            self.caught.append(name)

        return note

    def _release_signals(self) -> None:
        if self._pipe is not None:
            signal.set_wakeup_fd(self._wakeup)
            for end in self._pipe:
                os.close(end)
            self._pipe = None
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()
