"""Fixtures that several test files use."""

from __future__ import annotations

import os

# Several files at a time: each has a core, and BLAS or PyTorch on more of them would only wait for each other, at twice
# the cost. They read this when they are loaded, so it stands before all imports.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Iterator

import pytest

from stream.cli import ENVIRONMENT
from tests.support.pulse import PulseServer, virtual_microphone

# As the command line does, for this process and those it starts: results are compared to the bit.
os.environ.update({name: value for name, value in ENVIRONMENT.items() if name.startswith("SOXR_")})


@pytest.fixture(autouse=True)
def memory_without_ceiling() -> Iterator[None]:
    """Listening leaves a ceiling on the memory of its process, which here is that of all further tests."""
    try:
        import resource
    except ImportError:  # Windows
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.fixture
def virtual_mic(monkeypatch: pytest.MonkeyPatch) -> Iterator[PulseServer]:
    """A microphone that PortAudio lists as ``pulse`` and that can be played to and unplugged."""
    with virtual_microphone(monkeypatch) as server:
        yield server


@pytest.fixture
def one_thread() -> Iterator[None]:
    """PyTorch on one thread: on networks of a few units more of them only wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
