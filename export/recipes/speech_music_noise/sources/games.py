"""More packages, most of them games: music with drums, guitars and machines, effects, and a few more voices.

Files with voices in them (asked of silero-vad, then by ear of their names) are left out of the noise.
"""

from __future__ import annotations

from export.recipes.speech_music_noise.sources.rules import (
    EFFECT_SECONDS,
    MUSIC_SECONDS,
    Corpus,
    Rule,
    Split,
    music,
)

VOICES = r"(voice|speech|scream|laugh|death|hurt|pain|male|human|crowd|talk|radiomessage|tv_news|disco|jingle|music)"


def _effects(name: str, licence: str, split: Split, pattern: str, *leave_out: str) -> Corpus:
    out = tuple(Rule(left, None) for left in (VOICES, *leave_out))
    return Corpus(name, licence, (*out, Rule(pattern, "noise", split, r"\1", EFFECT_SECONDS)))


GAME_PACKAGES: tuple[Corpus, ...] = (
    # Music, and what else the package holds.
    music("nexuiz-music", "GPL-2", "train", r"cdtracks/(.+)\.ogg$"),
    music("ufoai-music", "GPL-2+, CC BY-SA 3.0, CC BY 3.0 by file", "train", r"music/(.+)\.ogg$"),
    music("openclonk-data", "CC BY 3.0, CC0 by file", "train", r"Music\.ocg/(.+)\.ogg$"),
    music("planetblupi-music-ogg", "GPL-3+", "train", r"music/(.+)\.ogg$"),
    music("xmoto-data", "GPL-2+", "train", r"Musics/(.+)\.ogg$"),
    music("zaz-data", "CC BY-SA 3.0", "train", r"zaz/(.+)\.ogg$"),
    Corpus(
        "supertuxkart-data",
        "CC BY-SA 3.0, CC BY-SA 4.0, CC BY 3.0, CC0 by file",
        (
            Rule(r"music/([^_/]+).*\.ogg$", "music", "train", r"\1", MUSIC_SECONDS),
            Rule(r"(goo|scream|ooh|nolok|wee|ugh|yahoo|laugh|energy|intro|horn|restaurant)", None),
            Rule(r"/(sfx|stk[^/]+|tracks/[^/]+)/([^/]+)\.ogg$", "noise", "train", r"\2", (0.08, 60.0)),
        ),
    ),
    Corpus(
        "unknown-horizons",
        "CC BY-SA 3.0, GPL-2+ by file",
        (
            Rule(r"audio/music/(.+)\.ogg$", "music", "train", r"\1", MUSIC_SECONDS),
            Rule(r"audio/voice/(\w+)/.+\.ogg$", "speech", "train", r"\1", (0.3, 60.0)),
            Rule(r"(lose|win|new_era|new_settlement|success|chapel|tavern|main_square|flippage|penny)", None),
            Rule(r"audio/sounds/(?:.*/)?(.+)\.ogg$", "noise", "train", r"\1", (0.08, 60.0)),
        ),
    ),
    Corpus(
        "megaglest-data",
        "CC BY-SA 3.0, GPL-2+ by file",
        (
            Rule(r"music/(.+)\.ogg$", "music", "train", r"\1", MUSIC_SECONDS),
            Rule(r"tilesets/(.+)\.(wav|ogg)$", "noise", "train", r"\1", (0.3, 400.0)),
            Rule(r"/(daemon|golem|pig)_[^/]+$|_die|_heal|summon|good_morning", None),
            Rule(r"/(guard|swordman|tower)_attack", None),
            Rule(r"/([a-z_]+?)_(?:select|ack|work_end)\d*\.wav$", "speech", "train", r"\1", (0.3, 10.0)),
            Rule(r"(commondata|water_sounds)/(.+?)\d*\.wav$", "noise", "train", r"\2", EFFECT_SECONDS),
        ),
    ),
    Corpus(
        "warmux-data",
        "GPL-2+",
        (
            Rule(r"music/.+?/(.+)\.ogg$", "music", "train", r"\1", MUSIC_SECONDS),
            Rule(r"(voices|music|homerun|lowgravity|sherif|victory|selected|suicide)", None),
            Rule(r"sound/default/\w+/(\w+?)\d*\.ogg$", "noise", "train", r"\1", EFFECT_SECONDS),
        ),
    ),
    Corpus(
        "trigger-rally-data",
        "GPL-2+, CC BY-SA 3.0, CC BY 3.0, CC0 by file",
        (
            Rule(r"codriver/paula/.+\.wav$", "speech", "validation", "paula"),
            Rule(r"codriver/(\w+)/.+\.wav$", "speech", "train", r"\1"),
            Rule(r"sounds/(\w+)\.wav$", "noise", "train", r"\1", EFFECT_SECONDS),
        ),
    ),
    Corpus(
        "widelands-data",
        "GPL-2+, CC BY-SA 3.0 by file",
        (
            Rule(r"music/(.+)\.ogg$", "music", "train", r"\1", MUSIC_SECONDS),
            Rule(r"(tavern|military)", None),
            Rule(r"(?:sound|critters)/(?:.*/)?([a-z_]+)\d*\.ogg$", "noise", "train", r"\1", EFFECT_SECONDS),
        ),
    ),
    Corpus(
        "flare-game",
        "CC BY-SA 3.0, CC BY 3.0, CC0 by file",
        (
            Rule(r"/music/(.+)\.ogg$", "music", "train", r"\1", MUSIC_SECONDS),
            Rule(r"(npcs|enemies|warcry|male_)", None),
            Rule(r"soundfx/(?:\w+/)?(.+?)\d*\.ogg$", "noise", "train", r"\1", (0.08, 120.0)),
        ),
    ),
    Corpus(
        "ardentryst",
        "CC BY-SA 3.0, GPL-3+ by file",
        (
            Rule(r"Music/(.+)\.ogg$", "music", "train", r"\1", MUSIC_SECONDS),
            Rule(r"VOI_Intro", "speech", "train", "intro"),
            Rule(r"(NYX|PYR|[Vv]oice|[Tt]alk|hurt|dead)", None),
            Rule(r"Sounds/(?:.*/)?(.+)\.ogg$", "noise", "train", r"\1", EFFECT_SECONDS),
        ),
    ),
    Corpus(
        "lomiri-sounds",
        "CC BY-SA 3.0, CC BY 4.0, CC BY 3.0, CC0 by file",
        (
            Rule(r"ringtones/(Alarm|Sparkle|Wind)", None),
            Rule(r"ringtones/(.+)\.ogg$", "music", "train", r"\1", (4.0, 3600.0)),
        ),
    ),
    Corpus(
        "marsshooter-data",
        "GPL-3+, CC BY-SA 3.0, CC BY 3.0, CC0 by file",
        (
            Rule(r"audio/(?:music/)?([^/]+)\.ogg$", "music", "validation", r"\1", MUSIC_SECONDS),
            Rule(r"(announcer|interface)", None),
            Rule(r"toon/(.+?)\d*\.wav$", "noise", "validation", r"\1", EFFECT_SECONDS),
        ),
    ),
    Corpus(
        "starfighter-data",
        "CC BY 3.0, CC BY-SA 3.0, GPL-3+ by file",
        (
            Rule(r"music/(.+)\.ogg$", "music", "validation", r"\1", MUSIC_SECONDS),
            Rule(VOICES, None),
            Rule(r"sound/(.+?)\d*\.ogg$", "noise", "validation", r"\1", EFFECT_SECONDS),
        ),
    ),
    Corpus(
        "supertux-data",
        "GPL-2+, GPL-3+, CC BY-SA 3.0, CC0 by file",
        (
            Rule(r"music/(.+)\.ogg$", "music", "validation", r"\1", MUSIC_SECONDS),
            Rule(r"(speech/|excellent|hurt|grow|yeti|grunts)", None),
            Rule(r"sounds/(.+?)\d*\.(?:wav|ogg)$", "noise", "validation", r"\1", EFFECT_SECONDS),
        ),
    ),
    Corpus(
        "btanks-data",
        "GPL-2+",
        (
            Rule(r"tunes/(.+)\.ogg$", "music", "validation", r"\1", MUSIC_SECONDS),
            Rule(r"(laugh|scream|deadman|zombie|man-|klaxon-funny|disembark)", None),
            Rule(r"sounds/(?:ambient/)?([a-z-]+?)-?\d*\.ogg$", "noise", "validation", r"\1", (0.08, 120.0)),
        ),
    ),
    # Effects.
    _effects(
        "ufoai-sound", "GPL-2+, CC BY-SA 3.0, CC BY 3.0 by file", "train",
        r"sound/\w+/(?:\w+/)?(.+?)\d*\.ogg$", r"(civilians|soldiers|aliens|alien-activity|geoscape/[uin])",
    ),
    _effects(
        "wesnoth-1.16-data", "GPL-2+, CC BY-SA 4.0 by file", "train",
        r"sounds/(?:ambient/)?([a-z-]+).*\.(?:ogg|wav)$",
        r"(horn|groan|grunt|hiss|gasp|gloat|yeti|troll|ogre|ghoul|mermen|wail|ugg)",
        r"(dwarf|elf|goblin|mermaid|naga|orc|zombie)-.*(die|hit)|zombie-attack|tusker-(charge|hit)",
    ),
    Corpus(
        "boswars-data",
        "GPL-2+",
        (
            Rule(r"(gturret|radar|camera|artil|cannon)\.completed", None),
            Rule(r"(\.completed|[._](?:select|action))\.wav$", "speech", "train", "one", (0.3, 10.0)),
            # What is ready or attacked is announced.
            Rule(r"_die|ready|underattack|attacked", None),
            Rule(r"units/(.+)\.wav$", "noise", "train", r"\1", EFFECT_SECONDS),
        ),
    ),
    Corpus(
        "netpanzer-data",
        "GPL-2+",
        (
            Rule(r"(\w+-selected|target_|move_|yessir)\w*\.wav$", "speech", "train", "one", (0.3, 10.0)),
            Rule(r"scream", None),
            Rule(r"sound/(.+?)\d*\.wav$", "noise", "train", r"\1", EFFECT_SECONDS),
        ),
    ),
    _effects("scorched3d-data", "GPL-2+, CC BY-SA 3.0 by file", "train", r"wav/(.+?)\d*\.wav$", r"(beamup)"),
    _effects("bzflag-data", "GPL-2+", "train", r"bzflag/(.+)\.wav$", r"(killteam)"),
    _effects("lugaru-data", "CC BY-SA 3.0, CC BY-SA 4.0, GPL-2+ by file", "train", r"Sounds/(.+?)\d*\.ogg$"),
    _effects("searchandrescue-data", "GPL-2+", "train", r"sounds/(.+?)\d*\.wav$"),
    _effects("foobillardplus-data", "GPL-2", "train", r"data/(.+?)\d*\.wav$"),
    _effects("wordwarvi-sound", "GPL-2+, CC BY-SA 3.0 by file", "train", r"sounds/(.+?)\d*\.ogg$",
             r"(nice_bank|UseThe|spine|santa|hohoho|help|abducted|ooooof)"),
    _effects("freeorion-data", "CC BY-SA 3.0", "validation", r"sound/combat/(.+?)\d*\.ogg$"),
    _effects("atanks-data", "GPL-2+", "validation", r"sound/(.+?)\d*\.wav$"),
    # Drums, hit by hit.
    Corpus(
        "hydrogen-drumkits",
        "GPL-2+, CC BY 3.0, CC BY-SA 3.0, CC0 by kit",
        (Rule(r"drumkits/([^/]+)/.+\.(wav|flac)$", "drums", "train", r"\1", (0.02, 4.0)),),
    ),
    Corpus(
        "lmms-common",
        "GPL-2+",
        (
            Rule(r"samples/(bassloops|beats|latin)/(.+)\.ogg$", "music", "train", r"\2", (1.0, 60.0)),
            Rule(r"samples/(drums|basses)/.+\.ogg$", "drums", "train", r"\1", (0.02, 4.0)),
        ),
    ),
)  # fmt: skip
