"""The recipe of the bundled models: speech, music and noise in any room, from Debian's recordings.

    python -m export.recipes.speech_music_noise --cache DIR --out assets

    plan.py            features, networks, how much and how long
    build.py           the whole recipe, step by step
    jobs.py            several processes for independent parts

    sources/           recordings
        rules.py       how a source is described
        corpora.py     which packages, what each file counts as, which side of the split it is on
        games.py       more of them
        further.py     and more
        soundfont.py   notes out of a SoundFont
        gather.py      fetch, unpack, decode
        bank.py        clips of one side of the split
    scenes/            labelled sound
        labels.py      when a clean recording is active
        beats.py       drum patterns out of single hits
        notes.py       tunes out of single notes
        singing.py     sung voices out of spoken ones
        synthetic.py   noise made by rule
        effects.py     filters, rooms, codecs, clipping
        mix.py         what scenes are like
        material.py    sound of one kind
        compose.py     labelled scenes
    lessons/           training
        dataset.py     scenes as features on disk; batches of carried streams
        shake.py       another level, colour and bandwidth for every stream of every epoch
        prepare.py     everything composed
        network.py     one network
        figures.py     F1, AUC, conditions, false events, onset delay
        school.py      teachers, and what they teach
    release/           model files
        calibrate.py   thresholds and detector rules
        report.py      everything measured about a finished file
        tables.py      the same for people
        publish.py     export, proof, figures, card
        peers.py       what other tools say about the same streams
        draws.py       model files on further draws of the validation

    demo.py            the demo recording
    picture.py         its labels and a model's answer, drawn

What was tried and what it gave is in ../LABBOOK.md.
"""
