"""A systemd service: ``stream-classify`` started with the machine or with its user, and kept alive.

unit_text.py   the unit file as text, and how words are quoted in it
systemd.py     what systemd says: whether it runs here, whether a unit is right, how it stands
installed.py   the unit file on the disk: written whole, and only over one that we wrote
"""
