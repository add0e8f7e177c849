"""The recipe of the bundled models: tell speech, music and noise apart in any room, from Debian's recordings.

    python -m export.recipes.speech_music_noise --cache DIR --out assets          (from a clone)

    recipe_settings.py    features, networks, how much sound and how many passes
    build.py              the whole recipe, step by step
    parallel.py           several processes for independent parts

    sources/              recordings
        rules.py          how a source is described
        corpora.py        which packages, what each file counts as, which side of the split it is on
        games.py          more packages: games
        more_packages.py  and others
        case_sounds.py    animals, horns, bangs, singing, solo instruments
        soundfont.py      notes out of a SoundFont
        packs.py          sounds out of resource files
        gather.py         fetch, unpack, decode
        bank.py           clips of one side of the split
    scenes/               labelled sound
        labels.py         when a clean recording is active
        beats.py          drum patterns out of single hits
        notes.py          tunes out of single notes
        singing.py        sung voices out of spoken ones
        sung.py           the same by other methods, and choirs
        voices.py         voices by rule
        creatures.py      animals, toys and machines that sound like voices
        tones.py          horns, sirens, bells, hums
        sparse.py         solo instruments, quiet openings, bass music, bangs
        rooms.py          near and far talkers in a room, automatic gain
        synthetic.py      synthetic noise
        effects.py        filters, rooms, codecs, clipping
        mix.py            what scenes are like
        cases.py          what is hard to hear: a mix to train on and one to validate on for each case
        material.py       sound of one kind
        compose.py        labelled scenes
    training/             networks
        streams.py        scenes as features and labels on disk
        data.py           everything composed, by round
        predictions.py    probabilities for composed streams, as export.metrics takes them
        network.py        one network
        bundled.py        the network of a published file
        distillation.py   teachers, their targets, and the published networks
    release/              model files
        calibrate.py      thresholds and detector rules
        conditions.py     figures by what sounds together
        hard_cases.py     figures by what is hard to hear
        report.py         everything measured about a finished file
        tables.py         the same as Markdown
        publish.py        export, proof, figures, card
        peers.py          other tools on the same streams
        redaction.py      how much speech stream.privacy lets through
        draws.py          model files on further draws of the validation

    demo.py               the demo recording
    picture.py            its labels and a model's predictions, drawn

Batches, augmentation, figures and export are those of the public packages: export.training, export.augmentation,
export.metrics, export.conversion. What was tried and what it gave is in ../LABBOOK.md.
"""
