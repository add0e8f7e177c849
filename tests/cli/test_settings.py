"""Settings from a file, the environment and options, and what says which are in force."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from stream.cli.app import app
from stream.cli.resolving import variable_of
from stream.cli.vocabulary import keys_of
from tests.support.command import ROOT, stream_classify
from tests.support.toy_models import toy_file


def in_force(*words: str, **env: str) -> dict[str, tuple[str, str]]:
    """What ``stream-classify settings`` prints: "table key" -> value and origin."""
    done = CliRunner().invoke(app, ["settings", *words], env=env)
    assert done.exit_code == 0, done.output + str(done.exception)
    found, table = {}, ""
    for line in done.stdout.splitlines():
        if line.startswith("["):
            table = line + " "
        elif pair := re.fullmatch(r"(\S.*?) = (.*?)(?:\s+# (.*))?", line):
            found[table + pair[1]] = (pair[2], pair[3] or "")
    return found


@pytest.fixture
def model(tmp_path: Path) -> str:
    return str(toy_file(tmp_path))


def test_option_wins_over_environment_over_file_over_card(tmp_path: Path, model: str) -> None:
    file = tmp_path / "a.toml"
    file.write_text("threshold = 0.6\nmin-on = 1\nmax-gap = 3\nrepair = 'hold'\n[class.music]\nmin-on = 2\n")
    found = in_force(
        *("--settings", str(file), "--model", model, "--repair", "mean", "--min-off", "speech=0.7"),
        STREAM_CLASSIFY_MAX_GAP="4",
        STREAM_CLASSIFY_THRESHOLD="0.8",
        STREAM_CLASSIFY_REPAIR="interpolate",
    )
    assert found["repair"] == ('"mean"', "option")
    assert found["max-gap"] == ("4", "STREAM_CLASSIFY_MAX_GAP")
    assert found["provider"] == ('"auto"', "default")
    assert found["[class.music] threshold"] == ("0.8", "STREAM_CLASSIFY_THRESHOLD")
    assert found["[class.music] min-on"] == ("2", f"{file}:6")
    assert found["[class.speech] min-on"] == ("1", f"{file}:2")
    assert found["[class.speech] min-off"] == ("0.7", "--min-off 'speech=0.7'")
    assert found["[class.noise] min-off"] == ("0.05", "card")


def test_the_file_may_come_from_the_environment(tmp_path: Path, model: str) -> None:
    file = tmp_path / "a.toml"
    file.write_text("loud = -25\n")
    found = in_force("--model", model, STREAM_CLASSIFY_SETTINGS=str(file))
    assert found["loud"] == ("-25", f"{file}:1")
    assert found["[class.loud] threshold"] == ("0.5", "default")


def test_what_to_listen_to_is_taken_from_the_strongest(tmp_path: Path, model: str) -> None:
    file = tmp_path / "a.toml"
    file.write_text("device = 'usb'\nsample-rate = 16000\n")
    found = in_force("--settings", str(file), "--model", model, "--demo")
    assert found["demo"] == ("true", "option")
    assert "device" not in found
    assert "sample-rate" not in found
    assert in_force("--settings", str(file), "--model", model)["sample-rate"] == ("16000", f"{file}:2")
    file.write_text("input = 'a.wav'\nsample-rate = 16000\n")
    done = stream_classify("--settings", str(file))
    assert "--sample-rate does not apply to a file" in done.stderr
    file.write_text("input = 'a.wav'\ndemo = true\n")
    assert "give one of them" in stream_classify("--settings", str(file), "--model", model).stderr


def test_what_is_printed_is_a_settings_file_that_says_the_same(tmp_path: Path, model: str) -> None:
    file, again = tmp_path / "a.toml", tmp_path / "b.toml"
    file.write_text(
        "loud = -25\nclips = ['a']\n[groups]\nany = ['speech', 'music']\n[schedules.night]\nhours = '22-7'\n"
        "[class.any]\nmin-on = 0.7\n[acting]\ncooldown = '5m'\nclasses = 'any'\n[acting.clips]\nschedule = 'night'\n"
        "[[output]]\nclips = 'b'\npre-roll = 1\nacting = { days = 'sat', score = 0.7 }\n"
    )
    first = CliRunner().invoke(app, ["settings", "--settings", str(file), "--model", model])
    again.write_text(first.stdout)
    second = CliRunner().invoke(app, ["settings", "--settings", str(again)])
    assert second.exit_code == 0, second.output

    def values(text: str) -> list[str]:
        return [line.partition("  # ")[0].rstrip() for line in text.splitlines()]

    assert values(first.stdout) == values(second.stdout)
    assert "[class.any]" in values(first.stdout)


def test_secrets_are_not_shown(model: str) -> None:
    shown = str(in_force("--model", model, "--input", "rtsp://me:hunter2@camera/1"))
    assert "hunter2" not in shown
    assert "camera" in shown


def test_a_run_does_what_the_file_says(tmp_path: Path, model: str) -> None:
    file = tmp_path / "a.toml"
    file.write_text(
        f"input = '{ROOT}/assets/demo.ogg'\nfast = true\nmodel = '{model}'\njsonl = '{tmp_path}/out.jsonl'\n"
        "scores = true\nclips = 'clips'\nloud = -25\n[groups]\nany = ['speech', 'noise']\n"
        "[acting]\nclasses = 'loud'\ncooldown = '1h'\n"
    )
    done = stream_classify("--settings", str(file), "-v", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "events held back by its rule" in done.stderr
    records = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert set(records[0]["probs"]) == {"speech", "music", "noise", "any", "loud"}
    labels = {record["label"] for record in records if record["type"] == "event"}
    assert "loud" in labels
    assert len(labels) > 1
    clips = list((tmp_path / "clips").rglob("*.flac"))
    assert len(clips) == 1
    assert "loud" in clips[0].name


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"STREAM_CLASSIFY_SAMPLE_RATE": "fast"}, "STREAM_CLASSIFY_SAMPLE_RATE: "),
        ({"STREAM_CLASSIFY_THRESHOLD": "high"}, "STREAM_CLASSIFY_THRESHOLD: "),
        ({"STREAM_CLASSIFY_THRESHOLD": "speech=7"}, "STREAM_CLASSIFY_THRESHOLD: "),
        ({"STREAM_CLASSIFY_DEMO": "perhaps"}, "STREAM_CLASSIFY_DEMO: "),
        ({"STREAM_CLASSIFY_SETTINGS": "/nowhere.toml"}, "/nowhere.toml"),
    ],
)
def test_what_is_wrong_in_the_environment(env: dict[str, str], words: str) -> None:
    done = CliRunner().invoke(app, ["settings"], env=env)
    message = str(done.exception) + done.output
    assert done.exit_code != 0
    assert words in message
    assert "Traceback" not in done.output


def test_other_commands_do_not_read_them() -> None:
    done = CliRunner().invoke(app, ["schema"], env={"STREAM_CLASSIFY_SETTINGS": "/nowhere.toml"})
    assert done.exit_code == 0


def test_errors_come_before_anything_is_opened(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("input = '/nowhere.wav'\n[class.speach]\nmin-on = 1\n")
    done = stream_classify("--settings", str(file))
    assert done.returncode == 2
    assert (
        done.stderr == f"stream-classify: error: {file}:2:1: unknown class 'speach'; did you mean 'speech'?\n"
    )


def test_variables_have_names_of_their_own() -> None:
    taken = {"STREAM_CLASSIFY_DATA", "STREAM_CLASSIFY_NATIVE", "STREAM_CLASSIFY_FUZZ"}
    assert not taken & {variable_of(name) for name in keys_of(click.Context(app))}


def test_outputs_are_ready_before_a_microphone_opens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And are put away where it does not open."""
    from stream.capture import opening
    from stream.capture.simulate import SimulatedSource
    from stream.errors import DeviceBusy
    from stream.outputs.label_output import Labels

    order: list[str] = []

    class Busy(SimulatedSource):
        def __enter__(self) -> Busy:
            order.append("opened")
            raise DeviceBusy("microphone: is in use")

    made, closed = Labels.__init__, Labels.close

    def make(self: Labels, *args: object, **kwargs: object) -> None:
        order.append("made")
        made(self, *args, **kwargs)  # type: ignore[arg-type]

    def close(self: Labels) -> None:
        order.append("closed")
        closed(self)

    monkeypatch.setattr(Labels, "__init__", make)
    monkeypatch.setattr(Labels, "close", close)
    monkeypatch.setattr(opening, "open_source", lambda *_, **__: Busy("sim:tone"))
    done = CliRunner().invoke(
        app,
        [
            "--model",
            str(toy_file(tmp_path)),
            "--labels",
            str(tmp_path / "a.txt"),
            "--jsonl",
            str(tmp_path / "a.jsonl"),
        ],
    )
    assert isinstance(done.exception, DeviceBusy)
    assert order == ["made", "opened", "closed"]
