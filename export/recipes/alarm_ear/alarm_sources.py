"""Which recordings sound behind the alarms, and which of the three parts each is in. None of them is of an alarm.

Everything is a Debian package of the recipe of ``speech_music_noise``, described there with its licence, or a bed of
``ambience/``, if that folder is at hand. A package is in one part as a whole; the three in which volunteers of many
languages speak are divided by language. Voices of synthesisers, and single things, come with this project in three
parts that share no source (``export.scenes.bank``).
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from export.data.recording import Split
from export.recipes.speech_music_noise.parallel import run_parallel
from export.recipes.speech_music_noise.sources.bank import Bank
from export.recipes.speech_music_noise.sources.corpora import PACKAGES
from export.recipes.speech_music_noise.sources.gather import build_bank, fetch
from export.recipes.speech_music_noise.sources.rules import Corpus, Rule
from stream.errors import DataError

WHOLE: dict[Split, tuple[str, ...]] = {
    "train": (
        "asterisk-core-sounds-en-g722", "asterisk-core-sounds-it-g722", "asterisk-prompt-fr-armelle", "kajongg",
        "hedgewars-data", "nexuiz-music", "colobot-common-sounds", "frozen-bubble-data", "planetblupi-music-ogg",
        "fillets-ng-data", "lincity-ng-data", "minetest-data", "bucklespring-data", "openarena-data",
        "fluid-soundfont-gm", "hydrogen-drumkits",
    ),
    "validation": (
        "asterisk-core-sounds-fr-g722", "hyperrogue-music", "extremetuxracer-data", "endless-sky-data",
        "warzone2100-music",
    ),
    "test": (
        "asterisk-prompt-it-menardi-wav", "asterisk-prompt-es-co", "fillets-ng-data-cs", "asterisk-moh-opsound-wav",
        "sonic-pi-samples", "wesnoth-1.16-music", "simutrans-pak64",
    ),
}  # fmt: skip
DIVIDED = (
    "klettres-data",
    "ktuberling-data",
    "tuxpaint-stamps-default",
)  # training and validation, by language
# Beds whose sound repeats as a beep does are left out: what they are is not known to the second.
_BEEPING = r"(morse|siren|laundry|clock\.ogg|slide-projector)"
_TEST_BEDS = (
    r"(city|road|traffic|highway|waves|boat|crow|cow|sheep|paper|typewriter|fan|summer-night|window|tent)"
)
_VALIDATION_BEDS = (
    r"(thunder|storm|rain-on-(?:car|leaves|umbrella)|seagull|frog|owl|washing|jungle|keyboard|submarine)"
)
BEDS: dict[Split, str] = {
    "train": rf"^(?!.*{_TEST_BEDS})(?!.*{_VALIDATION_BEDS})(.+)\.ogg$",
    "validation": rf"^(?!.*{_TEST_BEDS})(.*{_VALIDATION_BEDS}.*)\.ogg$",
    "test": rf"^(.*{_TEST_BEDS}.*)\.ogg$",
}


def corpora(part: Split, recordings: Path | None) -> list[tuple[Corpus, Path | None]]:
    """What a part is made of, and the folder of recordings of what is no package."""
    known = {corpus.name: corpus for corpus in PACKAGES}
    found: list[tuple[Corpus, Path | None]] = [(_whole(known[name]), None) for name in WHOLE[part]]
    if part != "test":
        found += [(_side(known[name], part), None) for name in DIVIDED]
    if recordings is not None and (recordings / "ambience" / "manifest.csv").is_file():
        rules = (Rule(_BEEPING, None), Rule(BEDS[part], "noise", "train", r"\g<0>"))
        beds = Corpus("ambience", "Pixabay content licence, CC0, CC BY by file", rules, folder=True)
        found.append((beds, recordings / "ambience"))
    return found


def gather(cache: Path, recordings: Path | None, jobs: int = 1) -> None:
    """Fetch and decode what is not yet in ``cache``.

    Raises:
        DataError: a package cannot be had.
    """
    missing = [
        (corpus, cache, part, folder)
        for part in WHOLE
        for corpus, folder in corpora(part, recordings)
        if not (_folder(cache, part) / f"{corpus.name}.json").is_file()
    ]
    for name in run_parallel(jobs, _gather_one, missing):
        print(f"gathered {name}", file=sys.stderr, flush=True)
    for name in {corpus.name for part in WHOLE for corpus, folder in corpora(part, None) if folder is None}:
        shutil.rmtree(cache / "trees" / name, ignore_errors=True)  # the banks hold all that is needed


def bank(cache: Path, part: Split) -> Bank:
    """The recordings of a part.

    Raises:
        DataError: they were not gathered.
    """
    if not _folder(cache, part).is_dir():
        raise DataError(f"{_folder(cache, part)}: no such folder; gather the recordings first")
    return Bank(_folder(cache, part), "train")


def licences(cache: Path) -> Iterator[str]:
    """A line for each source of training."""
    for name, licence in sorted(bank(cache, "train").licences.items()):
        yield f"{name}: {licence}"
    yield "voices and things that come with stream-classify (assets/negatives/SOURCES.md): CC0, CC BY by file"


def _folder(cache: Path, part: Split) -> Path:
    return cache / "bank" / part


def _gather_one(corpus: Corpus, cache: Path, part: Split, folder: Path | None) -> str:
    build_bank(corpus, fetch(corpus.name, cache) if folder is None else folder, _folder(cache, part))
    return f"{part}: {corpus.name}"


def _whole(corpus: Corpus) -> Corpus:
    """All of it; a bank has one side, for its folder says which part it is."""
    return replace(corpus, rules=tuple(replace(rule, split="train") for rule in corpus.rules))


def _side(corpus: Corpus, part: Split) -> Corpus:
    """What the recipe of ``speech_music_noise`` puts on that side of it."""
    rules = (rule if rule.split == part else replace(rule, kind=None) for rule in corpus.rules)
    return replace(corpus, rules=tuple(replace(rule, split="train") for rule in rules))
