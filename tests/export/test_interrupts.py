"""Ctrl-C where something catches it."""

from __future__ import annotations

import os
import signal

import pytest

from export.training.interrupts import Interrupts

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")


class Last:
    """What Python calls while it cannot raise anything."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_a_finaliser_swallowed_is_raised_later() -> None:
    with Interrupts() as interrupts:
        interrupts.check()
        last = Last()
        del last
        assert interrupts.pressed
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()


def test_it_comes_at_once_elsewhere_and_the_handler_is_as_before() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), Interrupts():
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_another_handler_stays() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts:
            os.kill(os.getpid(), signal.SIGINT)
            interrupts.check()
    finally:
        signal.signal(signal.SIGINT, before)
