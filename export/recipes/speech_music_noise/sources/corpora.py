"""Which recordings the bundled model learns from, what each file counts as, and which side of the split it is on.

Everything is a Debian package (fetched, unpacked, read; never redistributed) or an optional folder of
recordings with a manifest. A file belongs to the first rule whose pattern it matches; no rule, not used.

The split is by package, and inside a package by speaker or recording: nobody and nothing heard in training
is heard in validation. KDE's volunteers speak in two packages, so those are split by language in both.
"""

from __future__ import annotations

from export.recipes.speech_music_noise.sources.case_sounds import CASE_FOLDERS, CASE_PACKAGES
from export.recipes.speech_music_noise.sources.games import GAME_PACKAGES
from export.recipes.speech_music_noise.sources.more_packages import MORE_PACKAGES
from export.recipes.speech_music_noise.sources.rules import (
    EFFECT_SECONDS,
    MUSIC_SECONDS,
    Corpus,
    Rule,
    Split,
    music,
)

NOT_WORDS = Rule(r"(beep|tone|silence|tt-|moh|conf-background)", None)  # sounds among the telephone prompts
# Languages (klettres, ktuberling) and speakers that only validation hears.
KDE_VALIDATION = r"(da|lt|uk|he|nl)"
STAMPS_VALIDATION = r"(el|da|lt)"


def _prompts(name: str, licence: str, split: Split) -> Corpus:
    return Corpus(name, licence, (NOT_WORDS, Rule(r"\.(g722|gsm|wav)$", "speech", split)))


PACKAGES: tuple[Corpus, ...] = (
    # Speech. Allison speaks both English and Spanish, so both are on one side.
    _prompts("asterisk-core-sounds-en-g722", "CC BY-SA 3.0", "train"),
    _prompts("asterisk-core-sounds-es-g722", "CC BY-SA 3.0", "train"),
    _prompts("asterisk-core-sounds-it-g722", "CC BY-SA 3.0", "train"),
    _prompts("asterisk-prompt-es-co", "GPL-2", "train"),
    _prompts("asterisk-prompt-fr-armelle", "BSD-2-clause with a no-endorsement clause", "train"),
    _prompts("asterisk-core-sounds-fr-g722", "CC BY-SA 3.0", "validation"),
    _prompts("asterisk-prompt-it-menardi-wav", "CC BY-SA 3.0", "validation"),
    Corpus(
        "klettres-data",
        "GPL-2+",
        (
            Rule(rf"klettres/{KDE_VALIDATION}/", "speech", "validation", r"\1"),
            Rule(r"klettres/(\w+)/", "speech", "train", r"\1"),
        ),
    ),
    Corpus(
        "ktuberling-data",
        "GPL-2+",
        (
            Rule(rf"sounds/{KDE_VALIDATION}/", "speech", "validation", r"\1"),
            Rule(r"sounds/([\w@]+)/", "speech", "train", r"\1"),
        ),
    ),
    Corpus(
        "tuxpaint-stamps-default",
        "GPL-2+",
        (
            Rule(rf"_desc_{STAMPS_VALIDATION}\.ogg$", "speech", "validation", r"\1"),
            Rule(r"_desc_(\w+)\.ogg$", "speech", "train", r"\1"),
            Rule(r"_desc", None),
            Rule(r"(birds?|bell|symbols|music|people|seasonal)", None),  # songs, tunes, voices
            Rule(
                r"stamps/(animals|vehicles|naturalforces)/.*?(\w+)\.ogg$",
                "noise",
                "validation",
                r"\2",
                EFFECT_SECONDS,
            ),
        ),
    ),
    Corpus(
        "fillets-ng-data-cs",
        "GPL-2+",
        (
            Rule(r"-(x|room|music|hudba)-", None),
            Rule(r"/[^/-]+-([mv])-[^/]*\.ogg$", "speech", "train", r"\1"),
            Rule(r"/[^/-]+-(pap|hs|c|r|0|3|4)-[^/]*\.ogg$", "speech", "validation", r"\1"),
        ),
    ),
    # Music, with the short sounds of the same packages as noise.
    music("wesnoth-1.16-music", "GPL-2+, CC BY-SA 4.0 by file", "train", r"music/(.+)\.ogg$"),
    music("warzone2100-music", "CC0, CC BY-SA 3.0, GPL-2+ by album", "train", r"albums/(.+)\.opus$"),
    music("fretsonfire-songs-muldjord", "CC BY-SA 3.0", "train", r"([^/]+)/song\.ogg$"),
    music("fillets-ng-data", "GPL-2+", "train", r"fillets-ng/music/(.+)\.ogg$"),
    Corpus(
        "colobot-common-sounds",
        "GPL-3+",
        (
            Rule(r"music/(.+)\.ogg$", "music", "train", r"\1", MUSIC_SECONDS),
            Rule(r"sound0(64|73)\.wav$", None),  # cries
            Rule(r"sounds/(.+)\.wav$", "noise", "train", r"\1", EFFECT_SECONDS),
        ),
    ),
    Corpus(
        "freedroidrpg-data",
        "GPL-2+",
        (
            Rule(r"sound/music/(.+)\.ogg$", "music", "train", r"\1", MUSIC_SECONDS),
            Rule(r"(bot_sounds|tux_ingame|[Ss]cream|Shop_Item)", None),
            Rule(r"sound/effects/(.+)\.ogg$", "noise", "train", r"\1", EFFECT_SECONDS),
        ),
    ),
    Corpus(
        "hedgewars-data",
        "GPL-2, CC BY, CC BY-SA by file",
        (
            Rule(r"Data/Music/(.+)\.ogg$", "music", "train", r"\1", MUSIC_SECONDS),
            Rule(r"voices/Singer/", "music", "train", "Singer", (0.3, 20.0)),
            Rule(r"voices/(\w+)/.+\.ogg$", "speech", "train", r"\1"),
            Rule(r"(hogchant|Yoohoo|Kiss|suddendeath|Hellish|homerun|hell_|lowgravity)", None),
            Rule(r"Data/Sounds/([^/]+)\.ogg$", "noise", "train", r"\1", EFFECT_SECONDS),
        ),
    ),
    Corpus(
        "lincity-ng-data",
        "GPL-2+, CC BY-SA by file",
        (
            Rule(r"music/default/(.+)\.ogg$", "music", "train", r"\1", MUSIC_SECONDS),
            Rule(r"(School|University|Market|Commune|Residential|Shanty|Cricket)", None),  # voices in them
            Rule(r"(Substation|PowerSolar3)", None),
            Rule(r"sounds/(\D+)\d*\.wav$", "noise", "train", r"\1", EFFECT_SECONDS),
        ),
    ),
    music("asterisk-moh-opsound-wav", "CC BY-SA 3.0", "validation", r"moh/(.+)\.wav$"),
    Corpus(
        "hyperrogue-music",
        "GPL-2+, CC BY-SA by file",
        (Rule(r"(hr3?-.+)\.ogg$", "music", "validation", r"\1", MUSIC_SECONDS),),
    ),
    Corpus(
        "extremetuxracer-data",
        "GPL-2+",
        (
            Rule(r"etr/music/(.+)\.ogg$", "music", "validation", r"\1", MUSIC_SECONDS),
            Rule(r"etr/sounds/(.+)\.wav$", "noise", "validation", r"\1", EFFECT_SECONDS),
        ),
    ),
    Corpus(
        "sonic-pi-samples", "CC0", (Rule(r"(loop_\w+)\.flac$", "music", "validation", r"\1", (3.0, 60.0)),)
    ),
    # Noise.
    Corpus(
        "openarena-data",
        "GPL-2+",
        (
            Rule(r"(voices|player|feedback|announcer)", None),
            Rule(r"sound/(.+)\.(wav|ogg)$", "noise", "train", r"\1", EFFECT_SECONDS),
        ),
    ),
    Corpus(
        "simutrans-pak64",
        "Artistic-1.0",
        (Rule(r"sound/(.+)\.wav$", "noise", "validation", r"\1", EFFECT_SECONDS),),
    ),
    Corpus(
        "endless-sky-data",
        "GPL-3+, public domain by file",
        (Rule(r"sounds/(.+)\.(wav|mp3)$", "noise", "validation", r"\1", (0.08, 400.0)),),
    ),
    *GAME_PACKAGES,
    *MORE_PACKAGES,
    *CASE_PACKAGES,
)

# Folders with the same names as below, wherever --recordings points; each is used if it is there.
FOLDERS: tuple[Corpus, ...] = (
    Corpus(
        "ambience",
        "Pixabay content licence, CC0, CC BY by file",
        (
            # whole themes change sides, so that the rain of one collection does not validate that of another
            Rule(
                r"^(clock-.+|.*(train|boat|city|urban|road|fan|keyboard|birds|whale|campfire).*)\.ogg$",
                "noise",
                "validation",
                r"\1",
            ),
            Rule(r"(morse|whale)", None),
            Rule(r"^(.+)\.ogg$", "noise", "train", r"\1"),
        ),
        folder=True,
    ),
    Corpus(
        "commands",
        "CC BY 4.0 (Speech Commands, Warden 2018)",
        (  # the manifest's own split is put before the path
            Rule(r"^validation/.*/([0-9a-f]{8})_nohash", "speech", "validation", r"\1"),
            Rule(r"^train/.*/([0-9a-f]{8})_nohash", "speech", "train", r"\1"),
        ),
        folder=True,
    ),
    Corpus(
        "digits",
        "CC BY-SA 4.0 (Free Spoken Digit Dataset)",
        (
            Rule(r"_(theo)_", "speech", "validation", r"\1"),
            Rule(r"_(\w+)_\d+\.", "speech", "train", r"\1"),
        ),
        folder=True,
    ),
    *CASE_FOLDERS,
)
