"""Fixtures that several test files use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.pulse import PulseServer, virtual_microphone


@pytest.fixture
def virtual_mic(monkeypatch: pytest.MonkeyPatch) -> Iterator[PulseServer]:
    """A microphone that PortAudio lists as ``pulse`` and that can be played to and unplugged."""
    with virtual_microphone(monkeypatch) as server:
        yield server
