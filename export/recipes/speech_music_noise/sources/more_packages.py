"""Packages found in Debian's list of contents: a man reading sentences, more voices, orchestras, real places, notes.

silero-vad was asked about every file; noise and music in which it hears a voice are left out by name.
"""

from __future__ import annotations

from export.recipes.speech_music_noise.sources.rules import EFFECT_SECONDS, MUSIC_SECONDS, Corpus, Rule, music

LONG_EFFECT_SECONDS = (0.08, 120.0)
# Toys, tales and instruments are left out: what they sound like is neither noise nor plain.
QABCS_NOISE = (
    "airplane|albatross|bear|bicycle|bird|calf|cat|chimpanzee|chinchilla|clock|cow|crow|deer|dice|dog|dolphin|duck|"
    "eagle-owl|elephant|emu|excavator|ferret|fire|foal|football|frog|giant_panda|goose|grasshopper|guinea_fowl|hamster|"
    "hedgehog|helicopter|heron|hockey|horse|hyena|ice_skate|iguana|jaguar|jump_rope|lion|lynx|moose|mouse|newspaper|"
    "pheasant|pig|porcupine|python|quadrocopter|quail|raccoon|ratchet|rhinoceros|rooster|sheep|skateboard|sparrow|"
    "squirrel|stork|tiger|tractor|train|turtle|vulture|wagon|wallaby|watch|wolf|wood_grouse|zebra|zipper"
)

MORE_PACKAGES: tuple[Corpus, ...] = (
    # Speech.
    Corpus("festvox-ru", "BSD-like (MSU, N. Shmyrev)", (Rule(r"wav/.+\.wav$", "speech"),)),
    Corpus(
        "qabcs-data",
        "GPL-3+",
        (
            Rule(r"abcs/(pl|be|ru|de|fr|en|en_gb)/sounds/.+\.ogg$", "speech", "train", r"\1"),
            Rule(rf"noises/({QABCS_NOISE})\.ogg$", "noise", "train", r"\1", EFFECT_SECONDS),
        ),
    ),
    Corpus("kajongg", "GPL-2+", (Rule(r"voices/(.+)/[^/]+\.ogg$", "speech", "train", r"\1"),)),
    Corpus(  # orders, reports and taunts in English, at 11 kHz
        "warzone2100-data",
        "GPL-2+",
        (
            Rule(r"(haha|laugh|scream|silence|help|nedpowr|beep)|mlaunch|commnder|(coltive|trnsppil|vtoltalk)/", None),
            Rule(r"audio/(taunts/\w+|tutorial|nexus|proxmessages|memressp/cmnd\w+)/.+\.ogg$", "speech", "train", r"\1"),
            Rule(r"audio/(memressp|extra|countdown)/.+\.ogg$", "speech", "train", "computer"),
            Rule(r"audio/sfx/(building|explons|vehicle|weapons)/.+\.ogg$", "noise", "train", r"\1", EFFECT_SECONDS),
        ),
    ),
    # Music, with the sounds of the same packages as noise.
    Corpus(
        "0ad-data",
        "CC BY-SA 3.0",
        (
            Rule(r"audio/music/(.+)\.ogg$", "music", "train", r"\1", MUSIC_SECONDS),
            Rule(r"audio/voice/(\w+)/civ/.+\.ogg$", "speech", "train", r"\1", (0.3, 10.0)),
            Rule(r"(human/death|fauna/death|mounted/death|attack_10|con_wood_05|horse_select)", None),
            Rule(
                r"audio/(?:attack|resource|ambient|actor)/(?:.*/)?([A-Za-z_]+?)_?\d*\.ogg$",
                "noise", "train", r"\1", LONG_EFFECT_SECONDS,
            ),
        ),
    ),
    Corpus(
        "naev-data",
        "GPL-3+, CC BY 3.0, GPL-2+ by file",
        (
            Rule(r"(cosmostation|computer_jam|/nav\.wav)", None),
            Rule(r"snd/music/(.+)\.ogg$", "music", "train", r"\1", MUSIC_SECONDS),
            Rule(r"snd/sounds/(.+)\.(?:ogg|wav)$", "noise", "train", r"\1", EFFECT_SECONDS),
        ),
    ),
    Corpus(
        "berusky2-data",
        "GPL-2+",
        (
            Rule(r"berusky2/music/(.+)\.ogg$", "music", "train", r"\1", MUSIC_SECONDS),
            Rule(r"(voc\d|village|balance|hop|dvere|telon|snorchl|Exit)", None),
            Rule(r"sound/sound/(.+?)\d*\.wav$", "noise", "train", r"\1", EFFECT_SECONDS),
        ),
    ),
    Corpus(
        "redeclipse-data",
        "CC BY-SA 3.0",
        (
            Rule(r"sounds/music/(.+)\.ogg$", "music", "train", r"\1", MUSIC_SECONDS),
            Rule(r"(criticalcore|sfx/alarm|sword/secondary)", None),
            Rule(
                r"sounds/(?:ambience|sfx|weapons)/(?:.*/)?(.+?)\d*\.ogg$", "noise", "train", r"\1", LONG_EFFECT_SECONDS
            ),
        ),
    ),
    music("frozen-bubble-data", "GPL-2", "train", r"snd/(.+)\.ogg$"),
    music("plee-the-bear-data", "CC BY-SA 3.0, GPL-2+", "train", r"/music/(?:.*/)?(.+)\.ogg$"),
    # Noise.
    Corpus("torcs-data", "GPL-2+", (Rule(r"data/sound/(.+?)\d*\.wav$", "noise", "train", r"\1", EFFECT_SECONDS),)),
    Corpus(
        "flightgear-data-base",
        "GPL-2+",
        (
            Rule(r"p51d_starter", None),
            Rule(r"Sounds/(mk-viii|tcas/female)/.+\.wav$", "speech", "train", r"\1"),
            Rule(r"(?:flightgear|c172p)/Sounds/([^/]+)\.wav$", "noise", "train", r"\1", EFFECT_SECONDS),
        ),
    ),
    Corpus(
        "minetest-data",
        "CC BY-SA 3.0, CC BY 3.0 by file",
        (
            Rule(r"(chest_open|wood_footstep)", None),
            Rule(r"sounds/([a-z_]+).*\.ogg$", "noise", "train", r"\1", EFFECT_SECONDS),
        ),
    ),
    Corpus("bucklespring-data", "GPL-2+", (Rule(r"wav/.+\.wav$", "noise", "train", "one", EFFECT_SECONDS),)),
    # Chords that are struck once, and single notes of every instrument.
    Corpus(
        "hydrogen-drumkits-effects",
        "CC BY 3.0",
        (Rule(r"GuitarStrums/(.+?)_\d+\.flac$", "music", "train", r"\1", (0.5, 20.0)),),
    ),
    Corpus("fluid-soundfont-gm", "MIT", (Rule(r"unpacked/([^/]+)/\d+\.wav$", "notes", "train", r"\1"),)),
)  # fmt: skip
