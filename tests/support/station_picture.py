"""The picture of the page in the guide: a station at a glance, and one source large, from the bundled recording.

python -m tests.support.station_picture --out assets/station.png
"""

from __future__ import annotations

import argparse
import base64
from pathlib import Path
from typing import Any

from stream.cli.models import load_model
from stream.server.access.access import Access
from stream.server.http.app import make_app
from stream.server.station import Station
from tests.support.browser import chromium, page_of
from tests.support.served import served
from tests.support.stations import spec

SOURCES = (
    ("living room", "assets/demo.ogg"),
    ("workshop", "sim:assets/demo.ogg?drift=200"),
    ("garden", "sim:noise?loop=forever&level=-45dB&unplug@28s&for=1h"),
)
MOMENT_SECONDS = 33  # of the recording: speech and music are on
WIDTH, GLANCE_HEIGHT, LARGE_HEIGHT = 1120, 416, 800
# One above the other; the first is cut off below its cards.
TOGETHER = """
<body style="margin:0; background:#0d1117; display:grid; gap:0">
<img src="data:image/png;base64,{0}"><img src="data:image/png;base64,{1}"></body>
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("assets/station.png"))
    draw(parser.parse_args().out)


def draw(path: Path) -> None:
    """Listen for most of a minute, and write the picture."""
    model = load_model("default", "cpu")
    station = Station([spec(*each) for each in SOURCES], {"default": model}, load=load_model)
    with served(make_app(station, Access())) as each, chromium() as browser:
        with (
            page_of(browser, each.url, **look(GLANCE_HEIGHT)) as glance,
            page_of(browser, f"{each.url}/#/source/living%20room", **look(LARGE_HEIGHT)) as large,
        ):
            large.locator(".figures", has_text=f"0:{MOMENT_SECONDS} /").wait_for()
            pictures = [base64.b64encode(page.screenshot()).decode("ascii") for page in (glance, large)]
        with page_of(browser, "about:blank", **look(GLANCE_HEIGHT + LARGE_HEIGHT)) as page:
            page.set_content(TOGETHER.format(*pictures))
            page.screenshot(path=path)


def look(height: int) -> dict[str, Any]:
    return {"viewport": {"width": WIDTH, "height": height}, "color_scheme": "dark"}


if __name__ == "__main__":
    main()
