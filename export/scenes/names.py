"""Whether two names may mean the same sound, so that a class is not told that it is no class."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Words for the same thing, or for things that sound alike.
_SAME = (
    {"dog", "bark", "hound", "puppy", "howl", "coyote", "wolf", "growl"},
    {"cat", "meow", "kitten", "purr", "leopard", "lion", "tiger", "jaguar"},
    {"bell", "doorbell", "ring", "chime", "ding", "church"}, {"phone", "telephone", "ring", "ringtone"},
    {"horn", "honk", "klaxon", "hooter"}, {"siren", "alarm", "beep", "buzzer", "ambulance", "police", "timer"},
    {"car", "vehicle", "engine", "motor", "traffic", "truck", "bus", "motorbike", "motorcycle", "road", "tractor"},
    {"machine", "engine", "motor", "compressor", "pump", "vacuum"}, {"fan", "air", "conditioner", "ventilator"},
    {"airplane", "aeroplane", "plane", "jet", "aircraft", "propeller", "helicopter"},
    {"gun", "shot", "gunshot", "pistol", "rifle", "shotgun", "burst", "explosion", "bang", "firework", "fire"},
    {"shot", "ricochet"},
    {"fire", "fireplace", "campfire", "crackle", "flame", "match", "fireball"}, {"knock", "door", "tap"},
    {"cough", "sneeze"}, {"keyboard", "typing", "typewriter", "key"}, {"mouse", "click"},
    {"bird", "crow", "chirp", "owl", "tweet", "canary", "parrot", "pigeon", "seagull", "woodpecker", "forest"},
    {"rooster", "chicken", "hen", "cock", "crow"}, {"duck", "goose", "quack"}, {"cow", "moo", "cattle"},
    {"sheep", "goat", "lamb", "bleat"}, {"horse", "neigh", "gallop"}, {"pig", "snort", "squeal"},
    {"bee", "bumble", "insect", "buzz", "cricket", "fly", "mosquito"}, {"snake", "cobra", "rattle", "hiss"},
    {"glass", "bottle", "break", "smash", "shatter"}, {"wood", "tree", "creak"},
    {"water", "rain", "drop", "splash", "drip", "shower", "pour", "stream", "river"}, {"sea", "wave", "ocean"},
    {"wind", "storm", "woosh", "blow"}, {"thunder", "thunderstorm", "storm", "lightning"},
    {"drill", "jackhammer", "saw", "hammer", "chainsaw"}, {"clap", "applause", "snap"},
    {"laugh", "laughter", "giggle"}, {"baby", "cry"}, {"clock", "tick", "watch"}, {"whistle", "blow"},
    {"step", "footstep", "walk", "run"}, {"city", "street", "traffic"}, {"bicycle", "bike"},
)  # fmt: skip


def same_sound(name: str, classes: Iterable[str]) -> bool:
    """True if ``name`` shares a word with one of ``classes``, or a word for the same thing; endings do not count."""
    return bool(_stems(name) & set().union(*(_meant(each) for each in classes)))


def says(text: str, classes: Iterable[str]) -> bool:
    """True if one of ``classes`` is said in ``text``: all of its words are in it."""
    said = _words(text) | _stems(text)
    return any(
        words and all(word in said or _stem(word) in said for word in words) for words in map(_words, classes)
    )


def _meant(label: str) -> set[str]:
    words = _stems(label)
    return words.union(*(same for same in _STEMMED if same & words))


def _stems(name: str) -> set[str]:
    return {_stem(word) for word in _words(name)}


def _words(name: str) -> set[str]:
    """Lower-case words; "gun_shot", "GunShot" and "gun-shot" have two."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return {word for word in re.split(r"[\W_\d]+", apart.casefold()) if word}


def _stem(word: str) -> str:
    """Without the endings of English: "barking", "barked" and "barks" become "bark", "idle" and "idling" "idl"."""
    for ending in ("ing", "ed", "es", "s", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word.removesuffix(ending)
            break
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "sl" else word


_STEMMED = tuple({_stem(word) for word in same} for same in _SAME)
