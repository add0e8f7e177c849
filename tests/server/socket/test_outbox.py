"""Whatever the order of replies, sends, breaks and acknowledgements: each reply with a sequence comes exactly once."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from stream.messages import Gap, Scores
from stream.outputs.records import Origin, gap_record
from stream.server.socket.outbox import Outbox, Rows
from stream.server.socket.server_messages import GapTold, Pong

LABELS = ("a", "b")
MOST_ROWS = 20


class Talk(RuleBasedStateMachine):
    """An outbox, and a peer over a line that breaks."""

    @initialize()
    def begin(self) -> None:
        self.outbox = Outbox([1], False, MOST_ROWS, 1000, 1 << 20)
        self.on_the_line: list[bytes] = []
        self.came: list[int] = []
        self.rows_told = self.rows_came = self.rows_broken = 0
        self.at = 0

    @rule(count=st.integers(1, 30))
    def scores(self, count: int) -> None:
        sample = np.arange(self.at, self.at + count, dtype=np.int64)
        probs = np.stack([sample, sample], axis=1).astype(np.float32)
        self.outbox.scores(Scores(probs, sample, np.ones(count, np.bool_), LABELS, 16_000, 1))
        self.at += count
        self.rows_told += count

    @rule()
    def gap(self) -> None:
        self.outbox.promise(GapTold, gap_record(Gap(0, 1, 16_000), "s", Origin("", "m", "0")))

    @rule()
    def pong(self) -> None:
        self.outbox.tell(Pong(1))

    @rule(count=st.integers(1, 10))
    def send(self, count: int) -> None:
        for _ in range(count):
            message = self.outbox.take()
            if message is None:
                break
            self.on_the_line.append(message)

    @rule(count=st.integers(1, 10))
    def come(self, count: int) -> None:
        for message in self.on_the_line[:count]:
            self.hear(json.loads(message))
        del self.on_the_line[:count]

    @rule()
    def acknowledge(self) -> None:
        if self.came:
            self.outbox.acknowledge(self.came[-1])

    @rule()
    def acknowledge_what_was_never_said(self) -> None:
        before = len(self.outbox.kept)
        self.outbox.acknowledge(0)
        assert len(self.outbox.kept) == before

    @rule(says=st.booleans())
    def break_the_line(self, says: bool) -> None:
        self.rows_broken += sum(len(json.loads(each).get("sample", ())) for each in self.on_the_line)
        self.on_the_line.clear()
        if not says and self.came:
            self.outbox.acknowledge(self.came[-1])
        assert self.outbox.remembers(self.came[-1] if self.came else 0)
        self.outbox.resume((self.came[-1] if self.came else 0) if says else None)

    @rule()
    def move(self) -> None:
        """To another process."""
        before = self.outbox
        after = Outbox([1], False, MOST_ROWS, 1000, 1 << 20)
        after.restore(before.sequence, before.acknowledged, before.kept)
        after.left_out = before.left_out
        waiting = sum(len(each.scores) for each in before._waiting if isinstance(each, Rows))
        self.rows_broken += waiting
        self.outbox = after
        self.break_the_line(says=True)

    def hear(self, message: dict[str, object]) -> None:
        if message["type"] == "scores":
            samples = message["sample"]
            assert isinstance(samples, list)
            self.rows_came += len(samples)
            probs = message["probs"]
            assert probs == [[float(sample)] for sample in samples]
        if "sequence" in message:
            assert message["sequence"] == len(self.came) + 1
            self.came.append(len(self.came) + 1)

    @invariant()
    def rows_are_counted(self) -> None:
        if not hasattr(self, "outbox"):
            return
        waiting = sum(len(each.scores) for each in self.outbox._waiting if isinstance(each, Rows))
        assert waiting <= MOST_ROWS
        line = sum(len(json.loads(each).get("sample", ())) for each in self.on_the_line)
        known = self.rows_came + self.rows_broken + self.outbox.left_out + waiting + line
        assert known == self.rows_told

    def teardown(self) -> None:
        if not hasattr(self, "outbox"):
            return
        self.break_the_line(says=True)
        self.send(10_000)
        self.come(10_000)
        assert len(self.came) == self.outbox.sequence


TestTalk = Talk.TestCase
TestTalk.settings = settings(
    max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
