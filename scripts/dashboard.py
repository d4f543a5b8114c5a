"""Draw Grafana's dashboard of deploy/kubernetes/monitoring from a Prometheus, where no Grafana is at hand.

python -m scripts.dashboard http://localhost:9090 dashboard.png
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from mmer.plots.palette import BLUE, COLOURS, FAINT, GREY, INK, ORANGE

DASHBOARD = Path(__file__).resolve().parents[1] / "deploy/kubernetes/monitoring/dashboard.json"
UNITS = {"s": "s", "reqps": "a second", "ops": "a second"}
POINTS = 240
COLUMNS = 24
"""Of Grafana's grid."""
Series = dict[str, tuple[np.ndarray, np.ndarray]]
"""By their legends: when, in seconds since 1970, and what."""


def ask(url: str, panel: dict[str, Any], end: float, minutes: float) -> list[Series]:
    """What Prometheus has for each of a panel's expressions.

    Raises:
        SystemExit: Prometheus does not understand an expression; the message has its own.
    """
    step = max(5.0, 60 * minutes / POINTS)
    found: list[Series] = []
    for target in panel["targets"]:
        expression = target["expr"].replace("$__rate_interval", f"{max(60, 4 * step):.0f}s").replace("$instance", ".*")
        given = {"query": expression, "start": end - 60 * minutes, "end": end, "step": step}
        answer = httpx.get(f"{url}/api/v1/query_range", params=given, timeout=30).json()
        if answer["status"] != "success":
            raise SystemExit(f"{panel['title']}: {answer['error']}")
        found.append({})
        for series in answer["data"]["result"]:
            legend = target["legendFormat"]
            for label, value in series["metric"].items():
                legend = legend.replace(f"{{{{{label}}}}}", value)
            when, what = np.array(series["values"], float).T
            found[-1][legend] = when, what
    return found


def draw(url: str, minutes: float, out: Path) -> dict[str, list[Series]]:
    """Draw all panels; what each of their expressions gave, by the panel's title."""
    dashboard, end = json.loads(DASHBOARD.read_text()), time.time()
    panels = dashboard["panels"]
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    figure = Figure(figsize=(14, 0.3 * rows), dpi=110, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    grid, found = figure.add_gridspec(rows, COLUMNS), {}
    for panel in panels:
        at, given = panel["gridPos"], ask(url, panel, end, minutes)
        found[panel["title"]] = given
        series = {legend: one for each in given for legend, one in each.items()}
        axes = figure.add_subplot(grid[at["y"] : at["y"] + at["h"], at["x"] : at["x"] + at["w"]])
        axes.set_title(panel["title"], fontsize=10, color=INK, loc="left")
        unit = UNITS.get(panel["fieldConfig"]["defaults"]["unit"], "")
        if panel["type"] == "stat":
            axes.axis("off")
            last = next((f"{values[-1]:.3g} {unit}" for _, values in series.values()), "no data")
            axes.text(0.5, 0.45, last, ha="center", va="center", fontsize=20, color=BLUE)
            continue
        colours = [BLUE, ORANGE, *list(COLOURS.values())[1:]]
        for k, (legend, (when, what)) in enumerate(sorted(series.items())):
            axes.plot(
                (1000 * when).astype("datetime64[ms]"),
                what,
                color=colours[k % len(colours)],
                label=legend,
                linewidth=1.4,
            )
        axes.set_ylabel(unit, fontsize=8, color=GREY)
        axes.set_ylim(bottom=0)
        axes.grid(color=FAINT, linewidth=0.5)
        axes.tick_params(labelsize=7, colors=GREY)
        locator = AutoDateLocator()
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))
        if series:
            axes.legend(fontsize=7, frameon=False, ncols=4, loc="upper left")
    figure.savefig(out)
    return found


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="of Prometheus")
    parser.add_argument("out", type=Path, help="the picture (png, svg, pdf)")
    parser.add_argument("--minutes", type=float, default=60, help="until now (default: %(default)s)")
    args = parser.parse_args()
    for title, given in draw(args.url, args.minutes, args.out).items():
        print(f"{title}: {sum(map(len, given))} series")


if __name__ == "__main__":
    main()
