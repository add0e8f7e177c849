"""Settings files: what they say, and where what is wrong stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.cli.app import app
from stream.cli.vocabulary import keys_of, vocabulary_of
from stream.errors import StreamClassifyError, UsageError
from stream.outputs.acting_rule import FIELDS
from stream.outputs.catalogue import output_classes
from stream.settings.document import LARGEST_BYTES, Document, read_document
from stream.settings.keys import CLASS_KEYS, RULE_KEYS
from stream.settings.reading import TABLES, Settings, read_settings, read_table
from stream.settings.toml import toml_key, toml_value

LABELS = ("speech", "music", "noise")
VOCABULARY = vocabulary_of(click.Context(app))
HOUSE = """
model = "small"
device = 2
threshold = 0.6
max_gap = 2
loud = "-25dBFS"
clips = "birds"
pre-roll = 4

[class.speech]
threshold = 0.8
min-on = 1
enabled = false

[groups]
sound = ["speech", "music"]

[schedules]
night = { hours = "22:00-07:00", days = "mon-fri" }

[acting]
classes = ["sound", "loud"]
cooldown = "5m"
[acting.clips]
schedule = "night"

[[output]]
clips = "talk"
name = "talk clips"
post-roll = 0.5
acting = { classes = "speech", at-least = 3, within = "10m" }
"""


def read(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "house.toml"
    path.write_text(text)
    return read_settings(str(path), VOCABULARY)


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    found = read(tmp_path, HOUSE)
    assert found.values["model"] == "small"
    assert found.values["device"] == "2"
    assert found.values["loud"] == -25
    assert found.values["max-gap"] == 2
    assert found.values["clips"] == ("birds",)
    assert found.places["max-gap"].endswith("house.toml:5")
    assert [(rule.field, rule.label, rule.value) for rule in found.rules] == [
        ("threshold", None, 0.6),
        ("threshold", "speech", 0.8),
        ("min_on", "speech", 1),
        ("enabled", "speech", False),
    ]
    assert found.groups == {"sound": ("speech", "music")}
    (table,) = found.outputs
    assert (table.kind, table.target, table.switch, table.values) == (
        "clips",
        "talk",
        "talk clips",
        {"post_roll": 0.5},
    )
    usual = found.acting.rule("clips")
    assert (usual.cooldown, usual.schedule, usual.classes) == (300, ("night",), {"sound", "loud"})
    own = found.acting.rule("clips", table.acting)
    assert (own.classes, own.at_least, own.within, own.cooldown) == ({"speech"}, 3, 600, 300)
    assert found.acting.rule("history").schedule == ()
    found.check_classes(LABELS, [*LABELS, "sound", "loud"])


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("model = ", "1:9", "not TOML"),
        ("a = [[[[", "1:9", "not TOML"),
        ("\nx = 1\nx = 2", "3:6", "not TOML"),
        ("\n  treshold = 0.5", "2:3", "did you mean 'threshold'"),
        ("'max gap' = 1", "1:1", "did you mean 'max-gap'"),
        ("model.file = 'a'", "1:1", "want text"),
        ("threshold = 7", "1:1", "want 0 to 1"),
        ("threshold = 0", "1:1", "more than 0"),
        ("threshold = nan", "1:1", "want 0 to 1"),
        ("threshold = '7'", "1:1", "want a number"),
        ("min-on = 1\nmin_on = 2", "2:1", "twice"),
        ("fast = 1", "1:1", "true or false"),
        ("sample-rate = 44.1", "1:1", "whole number"),
        ("sample-rate = true", "1:1", "whole number"),
        ("sample-rate = 5", "1:1", "range"),
        ("provider = 'gpu'", "1:1", "not one of"),
        ("clips = ['a', 3]", "1:1", "want text"),
        ("keep = 'many'", "1:1", "many"),
        ('clips = ["a", "a\\u0000b"]', "1:1", "null character"),
        ("[class.speech]\nthreshhold = 1", "2:1", "did you mean 'threshold'"),
        ("[class]\nspeech = 1", "2:1", "want a table"),
        ("class.speech.min-on = -1", "1:14", "want 0 to 3600"),
        ("[groups]\nx = []", "2:1", "want a list"),
        ("[acting]\nhours = '8'", "2:1", "want hours"),
        ("[acting]\nat-least = 3", "1:1", "belong together"),
        ("[acting]\nclases = 'a'", "2:1", "did you mean 'classes'"),
        ("[acting.clip]\nscore = 0.5", "1:1", "did you mean 'clips'"),
        ("[acting]\nschedule = ['nigth']\n[schedules.night]\ndays = 'sat'", "2:13", "did you mean 'night'"),
        ("[schedules.night]\ndays = 'caturday'", "2:1", "want days"),
        ("[[output]]\npre-roll = 1", "1:1", "want one of the keys"),
        ("[[output]]\nclips = 'a'\n[[output]]\nclips = 'b'\nhistory-keep = '7d'", "5:1", "unknown key"),
        ("[output]\nclips = 'a'", "1:1", "two brackets"),
        ("[[output]]\nclips = ['a', 'b']", "2:1", "one value"),
        ("[[output]]\nclips = 'a'\nacting.score = 3", "3:8", "want a probability"),
        ("settings = 'other.toml'", "1:1", "unknown key"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, place: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        read(tmp_path, text)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}/house.toml:{place}: "), message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("[class.speach]\nthreshold = 0.5", "1:1", "did you mean 'speech'"),
        ("[groups]\nx = ['speech',\n  'musik']", "3:3", "did you mean 'music'"),
        ("[groups]\nx = ['x']", "2:6", "unknown class"),
        ("[acting]\nclasses = ['speech', 'cat']", "2:22", "unknown class"),
        ("[[output]]\nclips = 'a'\nacting = { classes = 'cat' }", "3:12", "unknown class"),
    ],
)
def test_unknown_classes_once_the_model_is_known(tmp_path: Path, text: str, place: str, words: str) -> None:
    found = read(tmp_path, text)
    with pytest.raises(UsageError, match=words) as caught:
        found.check_classes(LABELS, LABELS)
    assert f"house.toml:{place}: " in str(caught.value)


def test_files_that_are_no_text_or_too_large(tmp_path: Path) -> None:
    path = tmp_path / "house.toml"
    path.write_bytes(b"a = 1\nb = '\xff'\n")
    with pytest.raises(UsageError, match=r"house\.toml:2:6: not UTF-8"):
        read_document(str(path))
    path.write_bytes(b"#" * (LARGEST_BYTES + 1))
    with pytest.raises(UsageError, match="1 MiB"):
        read_document(str(path))
    for missing in (str(tmp_path), str(tmp_path / "none.toml"), "/dev/zero", "a\0b"):
        if missing != "/dev/zero" or Path(missing).exists():
            with pytest.raises(UsageError):
                read_document(missing)
    path.write_text("\ufeffmodel = 'small'\r\n")
    assert read_document(str(path)).values == {"model": "small"}


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.one_of(
        st.text(max_size=40),
        st.lists(
            st.builds(
                "{} = {}\n".format,
                st.sampled_from(
                    [*RULE_KEYS, *TABLES, "clips", "model", "acting.hours", "class.speech.min-on"]
                ),
                st.sampled_from(
                    ["1", "'x'", "[]", "{}", "[1, 'a']", "nan", "{ a = 1 }", "true", "1979-05-27"]
                ),
            ),
            max_size=4,
        ).map("".join),
    )
)
def test_hostile_files_are_refused_in_one_line(tmp_path: Path, text: str) -> None:
    message = "none"
    try:
        document = Document("house.toml", text)
        read_table(document, (), document.values, VOCABULARY).check_classes(LABELS, LABELS)
    except StreamClassifyError as error:
        message = str(error)
    assert message.isprintable()


def test_every_option_is_a_key_and_no_two_names_clash() -> None:
    context = click.Context(app)
    names = set(keys_of(context))
    assert {"input", "model", "threshold", "jsonl", "verbose", "loud"} <= names
    assert not names & set(TABLES)
    assert set(RULE_KEYS) <= names
    assert set(RULE_KEYS) < set(CLASS_KEYS)
    assert not set(output_classes()) & set(FIELDS)  # [acting] holds both
    assert not {option.name for kind in output_classes().values() for option in kind.OPTIONS} & {
        "name",
        "acting",
    }


@pytest.mark.parametrize(
    "value",
    ['say "hi"\\', "tab\tand\x1b[2J\x7f", "\U0001f600 ü", 0.1, 3.0, 5, True, ["a", 1], {"a b": [1]}, []],
)
def test_values_written_as_toml_are_read_again(value: Any) -> None:
    import tomllib

    assert tomllib.loads(f"{toml_key('two words')} = {toml_value(value)}") == {"two words": value}
