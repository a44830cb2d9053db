"""Draws docs/demo.svg, the picture of the demo's screen: `python docs/picture.py [file]`.

The demonstration cabinet lives a quarter of an hour of an early morning under the virtual clock; the bed is being watered.
The same source gives the same picture.
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console

from satama_sim import Cabinet
from satama_sim.demo.screen import BusView, DemoView, render

DOCS = Path(__file__).parent
SITE = DOCS.parent / "sim" / "sites" / "demo.toml"
WIDTH, HEIGHT = 120, 43
START_UNIX_S = 1_796_093_820  # 2026-12-01 02:57 UTC; the bed is watered from 5 o'clock street time, 03:00 UTC
MINUTES = 13
_BUSY_S = 10


def draw(minutes: int = MINUTES) -> str:
    """The screen after so many minutes, as an SVG document that needs nothing from elsewhere."""
    with Cabinet(SITE, seed=7, start_unix_s=START_UNIX_S, keep=False) as cabinet:
        cabinet.run(minutes * 60 - _BUSY_S)
        before = [bus.busy_us for bus in cabinet.buses]
        cabinet.run(_BUSY_S)
        buses = [
            BusView(bus.name, spec["baud"], (bus.busy_us - busy) / 1e6 / _BUSY_S, bus.requests, 0)
            for bus, spec, busy in zip(cabinet.buses, cabinet.compiled.body["buses"], before, strict=True)
        ]
        view = DemoView(
            collector=cabinet.broker,
            title=cabinet.compiled.body["gateway"],
            vm=cabinet.vm,
            clock=cabinet.clock.name,
            now_unix_s=START_UNIX_S + cabinet.now_s,
            elapsed_s=cabinet.now_s,
            broker="127.0.0.1:1883",  # where the demo's own broker listens, and ports as a machine may name them
            buses=buses,
            ptys={"bus rs485": "/dev/pts/3", "console": "/dev/pts/4"},
        )
        console = Console(record=True, width=WIDTH, height=HEIGHT, file=io.StringIO(), force_terminal=True)
        console.print(render(view, WIDTH, HEIGHT))
        console.print()  # rich cuts the feet of the last line
    svg = console.export_svg(title="make demo", unique_id="satama")
    svg = re.sub(r"@font-face {.*?}", "", svg, flags=re.DOTALL).replace(
        "Fira Code", "DejaVu Sans Mono, Menlo, Consolas"
    )
    return "\n".join(line.rstrip() for line in svg.splitlines() if line.strip()) + "\n"


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS / "demo.svg"
    target.write_text(draw(), encoding="utf-8")
    print(f"wrote {target}")
