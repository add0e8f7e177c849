"""Settings of a station: read like those of the single command; mistakes are told with their place."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.assembly import make_classifier
from stream.errors import UsageError
from stream.server.station import SourceSpec
from stream.server.station.station_file import StationReader
from stream.settings.keys import Key, number
from tests.support.stations import reader, toy_model

WHOLE = """
threshold = 0.6
model = "default"
history = "station.db"
jsonl = "{source}.jsonl"
no-audio = true
[class.speech]
min-on = 0.5
[groups]
voice = ["speech", "music"]
[schedules]
night = { hours = "22:00-07:00" }
[acting]
cooldown = "5m"
[acting.exec]
score = 0.5
[[output]]
exec = "true {source}"

[server]
port = 9000

[[source]]
name = "door"
device = "usb mic"
channel = 2
[[source]]
name = "yard"
input = "rtsp://cam:secret@yard/1"
model = "small"
threshold = 0.8
history = "yard.db"
no-audio = false
[source.class.speech]
threshold = 0.9
[source.groups]
sound = ["music", "noise"]
[source.acting]
cooldown = "1m"
[source.acting.exec]
schedule = "night"
[[source.output]]
clips = "clips/{source}"
name = "yard clips"
"""


def read(path: Path, text: str, **changes: object) -> dict[str, SourceSpec]:
    file = path / "station.toml"
    file.write_text(text)
    keys = {"port": Key("port", number(0, 65535))}
    settings = StationReader(reader()._of_source, keys, **changes).read(str(file))
    return {spec.name: spec for spec in settings.sources}


def test_a_source_has_what_stands_at_the_top_and_its_own_over_that(tmp_path: Path) -> None:
    sources = read(tmp_path, WHOLE)
    door, yard = sources["door"], sources["yard"]
    assert (door.device, door.channel, door.input, door.model) == ("usb mic", "2", None, "default")
    assert (yard.device, yard.input, yard.model) == (None, "rtsp://cam:secret@yard/1", "small")
    assert door.jsonl == "door.jsonl"
    assert [spec.outputs["history"] for spec in (door, yard)] == [("station.db",), ("yard.db",)]
    assert [spec.no_audio for spec in (door, yard)] == [True, False]
    rules = {name: make_classifier(toy_model(), spec).detector_spec for name, spec in sources.items()}
    assert [rules["door"].rule(label).threshold for label in ("speech", "music")] == [0.6, 0.6]
    assert [rules["yard"].rule(label).threshold for label in ("speech", "music", "sound")] == [0.9, 0.8, 0.8]
    assert rules["yard"].rule("speech").min_on == rules["door"].rule("speech").min_on == 0.5
    assert list(yard.derived.groups) == ["voice", "sound"]
    assert list(door.derived.groups) == ["voice"]
    assert [table.target for table in yard.output_tables] == ["true yard", "clips/yard"]
    rule = yard.acting.rule("exec")
    assert (rule.cooldown, rule.score, rule.schedule) == (60.0, 0.5, ("night",))
    assert door.acting.rule("exec").cooldown == 300.0
    assert "secret" not in yard.listens_to


def test_what_the_command_line_says_is_a_default(tmp_path: Path) -> None:
    sources = read(
        tmp_path, '[[source]]\nname = "a"\n[[source]]\nname = "b"\nmodel = "small"', model="mine.onnx"
    )
    assert [spec.model for spec in sources.values()] == ["mine.onnx", "small"]


def test_a_source_from_elsewhere_is_laid_over_the_top_of_the_newest_file(tmp_path: Path) -> None:
    (tmp_path / "station.toml").write_text(WHOLE)
    own = StationReader(reader()._of_source, {"port": Key("port", number(0, 65535))})
    own.read(str(tmp_path / "station.toml"))
    spec = own.read_source({"name": "shed", "input": "sim:tone", "acting": {"exec": {"schedule": "night"}}})
    assert spec.outputs["history"] == ("station.db",)
    assert spec.jsonl == "shed.jsonl"
    assert spec.acting.rule("exec").schedule == ("night",)
    with pytest.raises(
        UsageError, match=r"^source\.treshold: unknown key 'treshold'; did you mean 'threshold'\?$"
    ):
        own.read_source({"name": "shed", "treshold": 0.5})


def test_equal_is_what_asks_for_the_same_wherever_it_stands(tmp_path: Path) -> None:
    text = '[[source]]\nname = "a"\nthreshold = 0.5\n[source.class.speech]\nmin-on = 0.2\n'
    before, moved = read(tmp_path, text)["a"], read(tmp_path, "\n\n# moved\n" + text)["a"]
    other = read(tmp_path, text.replace("0.2", "0.3"))["a"]
    assert before.same_as(moved)
    assert not before.same_as(other)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("[[sorce]]\nname = 'a'", "1:1", "unknown key 'sorce'; did you mean 'source'?"),
        ("[source]\nname = 'a'", "1:1", "source: want [[source]] tables, with two brackets"),
        ("[[source]]\ndevice = 2", "1:1", 'source: has no name; give it one, such as name = "door"'),
        ("[[source]]\nname = ''", "2:1", "name '': want up to 64 letters"),
        ("[[source]]\nname = '../x'", "2:1", "name '../x': want up to 64 letters"),
        ("[[source]]\nname = 7", "2:1", "name 7: want up to 64 letters"),
        ("[[source]]\nname = 'a'\n[[source]]\nname = 'a'", "4:1", "name 'a': there is a source of this name"),
        ("[[source]]\nname = 'a'\ntreshold = 1", "3:1", "unknown key 'treshold'; did you mean 'threshold'?"),
        ("[[source]]\nname = 'a'\nthreshold = 2", "3:1", "threshold: 2: want 0 to 1"),
        ("[[source]]\nname = 'a'\ninput = ''", "3:1", "source a: --input '': is empty"),
        ("[[source]]\nname = 'a'\ninput = '-'", "3:1", "source a: --input -: standard input belongs to"),
        ("[[source]]\nname = 'a'\njsonl = '-'", "3:1", "source a: --jsonl -: standard output is not"),
        ("[[source]]\nname = 'a'\ninput = 'sim:tone'\nsample-rate = 8000", "4:1", "--sample-rate does not apply"),
        ("[[source]]\nname = 'a'\npre-roll = 2", "3:1", "--pre-roll belongs to --clips"),
        ("no-audio = true\n[[source]]\nname = 'a'\nclips = 'x'", "4:1", "writes sound, which --no-audio forbids"),
        ("[[source]]\nname = 'a'\nverbose = true", "3:1", "unknown key 'verbose'"),
        ("[[source]]\nname = 'a'\n[source.acting]\nschedule = 'nigt'\n[schedules.night]\ndays = 'mon'", "4:1",
         "unknown schedule 'nigt'; did you mean 'night'?"),
        ("[server]\nprt = 1", "2:1", "unknown key 'prt'; did you mean 'port'?"),
        ("[server]\nport = 70000", "2:1", "port: 70000: want 0 to 65535"),
        ("server = 1", "1:1", "server: want a table, [server]"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(tmp_path: Path, text: str, place: str, words: str) -> None:
    with pytest.raises(UsageError) as error:
        read(tmp_path, text)
    assert str(error.value).startswith(f"{tmp_path}/station.toml:{place}: ")
    assert words in str(error.value)
    assert "\n" not in str(error.value)
