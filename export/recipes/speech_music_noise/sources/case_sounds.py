"""Recordings for the cases that networks get wrong: animals, toys, horns, bells, bangs, singing, solo instruments.

The split is by author: what one person recorded is on one side, in the packages too, as far as they name their authors.
"""

from __future__ import annotations

from export.recipes.speech_music_noise.sources.rules import EFFECT_SECONDS, Corpus, Rule, Split, Stock

# Stems of the files of the folder "things" by what they are; numbers and endings are left out where all are meant.
VALIDATION_CREATURES = (
    "puppy_bark|crow_caw|sheep_baa|rooster|parrot|sea_lion|lion_bellow|toy_squeak_02|wolf_howl|cat_meow|seagull|"
    "camel|zombie|quail|pig_snort|gorilla_roar"
)
TRAINING_CREATURES = (
    "dog_bark|goat_bleat|coyote_howl|cow_moo|elephant_trumpet|frog|duck_quack|goose|horse_neigh|horse_snort|jaguar_saw|"
    "leopard|lamb|owl_hoot|peacock|pig_squeal|pigeon|raccoon|tiger|toy_squeak_01|turkey_gobble|vulture|whale|yak|zebra|"
    "dolphin|bear|bird|canary|chicken|robot|squirrel|wolf_snarl|bat|cobra|penguin|boing"
)
VALIDATION_TONES = (
    "vehicle_horn_02|doorbell_01|doorbell_03|train_whistle|compressor_motor_02|vehicle_motor_idle|bees"
)
TRAINING_TONES = (
    "vehicle_horn_01|bicycle_horn|bicycle_bell|church_bells|doorbell_02|compressor_motor_01|motorbike_idle|car_motor|"
    "airplane_prop|bee|bumble_bee_02|helicopter"
)
VALIDATION_BANGS = (
    "door_close_01|door_knock_02|explosion_01|fireworks_01|pistol_fire_01|rifle_cock_03|rifle_fire_01|"
    "shotgun_fire_pump|rifle_small_fire"
)
TRAINING_BANGS = (
    "balloon_pop|door_close_02|door_close_03|door_knock_01|explosion_02|explosion_03|explosion_distant|fireworks_02|"
    "fireworks_pop|pistol_cock|pistol_fire_02|rifle_fire_03|rifle_cock_01|melee_hit|shotgun_pump|ar_burst|ar_fire"
)


def _things(stems: str, kind: Stock, split: Split) -> Rule:
    return Rule(rf"^({stems})(?:_[a-z]+)?(?:_?\d+)?\.ogg$", kind, split, r"\1", EFFECT_SECONDS)


CASE_FOLDERS: tuple[Corpus, ...] = (
    Corpus(
        "things",
        "CC0, CC BY 3.0, CC BY 4.0 by file",
        (
            Rule(r"^mermaid_song", "songs", "validation", "mermaid_song", EFFECT_SECONDS),
            _things(VALIDATION_CREATURES, "creatures", "validation"),
            _things(VALIDATION_TONES, "tones", "validation"),
            _things(VALIDATION_BANGS, "bangs", "validation"),
            _things(TRAINING_CREATURES, "creatures", "train"),
            _things(TRAINING_TONES, "tones", "train"),
            _things(TRAINING_BANGS, "bangs", "train"),
        ),
        folder=True,
    ),
)
CASE_PACKAGES: tuple[Corpus, ...] = (
    # A vehicle game's horns, whistles and bells, and a few animals.
    Corpus(
        "openttd-opensfx",
        "CC BY-SA 3.0, CC BY 3.0, CC0 by file",
        (
            Rule(r"unpacked/(3[678]|6[678]|72)-.+\.wav$", "creatures", "train", r"\1", EFFECT_SECONDS),
            Rule(
                r"unpacked/(0[34567]|10|11|14|21|26|35)-.+\.wav$", "tones", "train", r"\1", EFFECT_SECONDS
            ),
            Rule(r"unpacked/(1[789]|53|58)-.+\.wav$", "bangs", "train", r"\1", EFFECT_SECONDS),
        ),
    ),
    Corpus(
        "mate-media-common",
        "GPL-2+",
        (Rule(r"alerts/(bark)\.ogg$", "creatures", "train", r"\1", EFFECT_SECONDS),),
    ),
    # Toys for children: animals, a bell, singing without and with accompaniment, instruments one by one.
    Corpus(
        "scratch",
        "CC BY-SA 3.0",
        (
            Rule(r"Sounds/Animal/(HorseGallop|Crickets?|Bird)", None),
            Rule(r"Sounds/Animal/(\w+?)\d*\.(?:wav|mp3)$", "creatures", "validation", r"\1", EFFECT_SECONDS),
            Rule(r"Effects/(BellToll|SewingMachine)", "tones", "validation", r"\1", EFFECT_SECONDS),
            Rule(
                r"Vocals/(Singer1|Singer2|Sing-me|Join-us|Doy|Got|Oooo|Hey|Come)",
                "songs", "validation", r"\1", (0.3, 60.0),
            ),
            Rule(
                r"Instruments/(GuitarStrum|Trumpet|Tambura|StringPluck|StringAccent)",
                "solos", "validation", r"\1", (0.3, 60.0),
            ),
            Rule(r"Loops/(GuitarChords|xylo|Xylo)", "solos", "validation", r"\1", (0.3, 60.0)),
        ),
    ),
    Corpus(
        "gcompris-qt-data",
        "GPL-3+; Free Art License (memory-sound)",
        (
            Rule(r"farm_animals/resource/animals/(\w+)\.ogg$", "creatures", "validation", r"\1", EFFECT_SECONDS),
            Rule(r"memory-sound/resource/LR(Bark)", "creatures", "validation", r"\1", EFFECT_SECONDS),
            Rule(r"watercycle/resource/(harbor)", "tones", "validation", r"\1", (0.08, 60.0)),
            Rule(r"memory-sound/resource/LR(Ring|Factory_noise)", "tones", "validation", r"\1", EFFECT_SECONDS),
            Rule(r"memory-sound/resource/LR(Hits|Object_falling)", "bangs", "validation", r"\1", EFFECT_SECONDS),
            # Enrico Caruso and Safiye Ayla
            Rule(r"world_music/resource/music/(italy|middleeast)\.ogg$", "songs", "validation", r"\1"),
            Rule(r"instruments/resource/(drum_kit|bongo|castanets|cymbal|maracas|snare_drum|tambourine)", None),
            Rule(r"instruments/resource/(\w+)\.ogg$", "solos", "validation", r"\1", (0.3, 60.0)),
        ),
    ),
    # Notes of instruments, choirs among them, that are none of the other SoundFont's.
    Corpus(
        "timgm6mb-soundfont",
        "GPL-2",
        (Rule(r"unpacked/([^/]+)/\d+\.wav$", "notes", "validation", r"\1"),),
    ),
)  # fmt: skip
