"""``stream-classify review`` as a person meets it: in a real terminal of 80 x 24, and where there is none."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from stream.outputs.retention import REVIEWS
from stream.review.player import Player
from stream.review.verdicts import Verdict, Verdicts
from tests.support.clips import RATE, write_clip
from tests.support.command import COMMAND, environment, stream_classify
from tests.support.pulse import PulseServer
from tests.support.terminal import Terminal


def command_line(*words: str) -> str:
    """A line for the shell of a terminal."""
    env = environment()
    given = [f"{name}={env[name]}" for name in ("PYTHONPATH", "PULSE_SERVER", "OMP_NUM_THREADS")]
    return shlex.join(["env", *given, *COMMAND, *words])


def test_a_person_judges_in_a_terminal(tmp_path: Path) -> None:
    first, second, third = (write_clip(tmp_path, number, "dog") for number in range(3))
    with Terminal(80, 24) as terminal:
        terminal.type(command_line("review", str(tmp_path)))
        text = terminal.wait_for(lambda text: "clip 1 of 3" in text and "q quit" in text)
        assert "Is it dog?" in text
        assert "─────" in text
        assert terminal.ask("#{alternate_on}") == "1"
        terminal.press("y")
        terminal.wait_for(lambda text: "clip 2 of 3" in text and "right: dog" in text)
        assert Verdicts(tmp_path).all == {first.name: Verdict("right", "dog")}  # at once
        terminal.press("n")
        terminal.wait_for(lambda text: "clip 3 of 3" in text)
        terminal.press("u")
        terminal.wait_for(lambda text: "clip 2 of 3" in text and "taken back" in text)
        terminal.press("l")
        terminal.tmux("send-keys", "-l", "hünd")
        terminal.wait_for(lambda text: "label: hünd" in text)
        terminal.press("Enter")
        terminal.wait_for(lambda text: "clip 3 of 3" in text)
        terminal.resize(40, 12)
        terminal.wait_for(lambda text: "y n l space s u q" in text)
        terminal.press("q")
        text = terminal.wait_for(
            lambda text: "judged: 1 right, 1 other; 1 clip left" in text.replace("\n", "")
        )
        assert terminal.ask("#{alternate_on} #{cursor_flag}") == "0 1"
        terminal.resize(80, 24)
        terminal.type(command_line("review", str(tmp_path)))
        terminal.wait_for(lambda text: "clip 1 of 1" in text)
        terminal.press("y")
        terminal.wait_for(lambda text: "All clips are judged." in text)
        terminal.press("C-c")
        terminal.wait_for(lambda text: "judged: 1 right\n" in text)
    assert Verdicts(tmp_path).all == {
        first.name: Verdict("right", "dog"),
        second.name: Verdict("other", "hünd"),
        third.name: Verdict("right", "dog"),
    }
    done = stream_classify("review", str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "all 3 clips are judged; --again shows them once more\n")


def test_the_clips_of_a_history(tmp_path: Path) -> None:
    done = stream_classify(
        "--demo", "--fast", "--history", "h.sqlite", "--clips", "clips", "--jsonl", cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")
    with Terminal(80, 24) as terminal:
        terminal.type(command_line("review", "--history", str(tmp_path / "h.sqlite"), "--silent"))
        terminal.wait_for(lambda text: "clip 1 of 11" in text)
        terminal.press("y")
        terminal.wait_for(lambda text: "clip 2 of 11" in text)
        terminal.press("q")
        terminal.wait_for(lambda text: "10 clips left" in text)
    assert len(Verdicts(tmp_path / "clips").all) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "review: give the folder of the clips, or --history FILE"),
        (["clips", "--history", "h"], "review: give the folder of the clips, or --history FILE"),
        (["clips"], "review: needs a terminal"),
        (["nowhere"], "nowhere: no such folder"),
        (["."], ".: no clip in it"),
        (["--history", "nowhere"], "nowhere"),
    ],
)
def test_what_is_wrong_is_one_line(words: list[str], message: str, tmp_path: Path) -> None:
    write_clip(tmp_path / "clips", 0, "dog")
    done = stream_classify("review", *words, cwd=tmp_path)
    assert done.returncode in (2, 7)
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "clips" / REVIEWS).exists()


@pytest.mark.pulse
def test_the_sound_is_played(virtual_mic: PulseServer) -> None:
    import numpy as np

    player = Player()
    assert player.play(np.zeros(RATE // 10, np.float32), RATE) == "playing"
    player.stop()
