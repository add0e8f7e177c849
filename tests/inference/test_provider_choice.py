"""Which provider "auto" takes: the one whose hop is quicker, measured once both are warm."""

from __future__ import annotations

from typing import Any

import pytest

from stream.inference import session as session_module
from stream.inference.options import CPU, CUDA, create_session
from stream.inference.session import Model
from tests.support.toy_models import toy_bytes

FIRST_RUNS = 5  # which a GPU spends on choosing its kernels
QUICK, SLOW, FIRST = 20e-6, 30e-6, 1.0  # seconds a run


class Clock:
    """``time.perf_counter`` for the module under test: it moves only while a session runs."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


class Provided:
    """A session on the CPU that says it is on ``provider`` and takes as long as it is told."""

    def __init__(self, session: Any, provider: str, seconds: float, clock: Clock) -> None:
        self._session, self._provider, self._seconds, self._clock = session, provider, seconds, clock
        self.runs = 0

    def get_providers(self) -> list[str]:
        return [self._provider]

    def run(self, *arguments: Any) -> Any:
        self.runs += 1
        self._clock.now += FIRST if self._provider == CUDA and self.runs <= FIRST_RUNS else self._seconds
        return self._session.run(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


def load(monkeypatch: pytest.MonkeyPatch, **seconds: float) -> tuple[Model, dict[str, Provided]]:
    """A model by "auto", where both providers are there and a run takes ``seconds[name]``."""
    clock, made = Clock(), dict[str, Provided]()

    def open_session(data: bytes, names: list[str], *options: Any) -> Provided:
        name = "cpu" if names[0] == CPU else "cuda"
        made[name] = Provided(create_session(data, [CPU]), names[0], seconds[name], clock)
        return made[name]

    monkeypatch.setattr(session_module, "providers", lambda choice: [[CPU], [CUDA, CPU]])
    monkeypatch.setattr(session_module, "create_session", open_session)
    monkeypatch.setattr(session_module, "time", clock)
    return Model(toy_bytes(), provider="auto"), made


@pytest.mark.parametrize(
    ("seconds", "chosen"),
    [({"cpu": QUICK, "cuda": SLOW}, "cpu"), ({"cpu": SLOW, "cuda": QUICK}, "cuda")],
    ids=["the CPU is quicker", "the GPU is quicker"],
)
def test_auto_takes_the_quicker_one(
    seconds: dict[str, float], chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, made = load(monkeypatch, **seconds)
    assert model.provider == chosen
    assert model.session is made[chosen]
    assert model.provider_reason == ", ".join(
        f"{name} {seconds[name] * 1e6:.0f} µs a hop" for name in ("cpu", "cuda")
    )


def test_no_choice_is_measured_where_there_is_none() -> None:
    assert Model(toy_bytes(), provider="cpu").provider_reason == ""
