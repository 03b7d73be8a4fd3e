"""How large is a page of ten devices and 5,000 points, and how soon can it be used?

Opened from the disk in headless Chromium, again and again, alternating with the yardstick: a page
with the same plotting library and a single point. A page can be used when its plot is drawn and its
budget is answered. Latencies and accuracies are made up; networks are real ones of the space.

    pip install -c constraints.txt playwright; apt-get install chromium
    python benchmarks/page_load.py
"""

import argparse
import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
from playwright.sync_api import Browser, sync_playwright
from rich.console import Console
from rich.table import Table

from harness.carbon.place import Site
from harness.deploy.front import Front, Point, gaps
from harness.reports.architectures import Drawn, layers, save_architectures
from harness.reports.carbon import save_deployments
from harness.reports.content import Shown
from harness.reports.page import plotly, save_devices_page
from harness.reports.pareto import save_fronts
from harness.spaces.catalogue import find_space
from harness.spaces.cost import CostTable
from harness.spaces.genome import decode, sample
from harness.spaces.space import Space

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking")
READY = "html[data-ready=yes]"
# In the page, at the moment itself: asking from here waits for whatever the page does next.
CLOCK = """new MutationObserver(() => {
  if (document.documentElement?.dataset.ready) window.readyMs ??= performance.now();
}).observe(document, { subtree: true, attributes: true, attributeFilter: ["data-ready"] });"""
BARE = """<!DOCTYPE html><div id="plot"></div><script>{library}</script><script>
Plotly.newPlot("plot", [{{x: [1], y: [1]}}]).then(() => requestAnimationFrame(() =>
  requestAnimationFrame(() => {{ document.documentElement.dataset.ready = "yes"; }})));
</script>"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--devices", type=int, default=10)
    parser.add_argument("--points", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--space", default="ofa-mbv3-w1.2")
    arguments = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page = make(arguments.space, arguments.devices, arguments.points, Path(folder))
        bare = Path(folder) / "bare.html"
        bare.write_text(BARE.format(library=plotly()))
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        times: dict[Path, list[float]] = {page: [], bare: []}
        for _ in range(arguments.rounds + 1):
            for path, found in times.items():
                found.append(ready_s(browser, path))
        browser.close()
        size_mb = page.stat().st_size / 1e6
    ours_s, bare_s = (median(found[1:]) for found in times.values())  # the first reads the disk
    show(times, size_mb, arguments.devices, arguments.points)
    figures = {
        "size_mb": round(size_mb, 2),
        "ready_s": round(ours_s, 2),
        "bare_s": round(bare_s, 2),
        "ratio": round(ours_s / bare_s, 2),
    }
    print(json.dumps(figures))


def make(space_name: str, devices: int, points: int, folder: Path) -> Path:
    """A page as `harness report` writes it."""
    space = find_space(space_name)
    rng = np.random.default_rng(0)
    each = points // devices
    fronts = [made_up(space, f"device-{n}", each, 2.0 ** (n / 2), rng) for n in range(devices)]
    shown = [Shown(front, space, ()) for front in fronts]
    drawn = [Drawn(f.device, layers(space, f.points[9].arch)) for f in fronts]
    figures = [
        *save_fronts(fronts, folder),
        *save_architectures(drawn, space.name, folder),
        *save_deployments(folder, Site()),
    ]
    return save_devices_page(shown, (), figures, folder)


def made_up(
    space: Space, device: str, points: int, factor: float, rng: np.random.Generator
) -> Front:
    """A verified front of 20 networks, and random ones below it."""
    genomes = sample(space, points, rng)
    macs = CostTable.of(space, lambda block: block.macs).total(genomes)
    genomes, macs = genomes[np.argsort(macs)], np.sort(macs)
    latency_ms = factor * macs / 2e7 * rng.normal(1, 0.02, points)
    accuracy = 60 + 3 * np.log2(macs / 1e8) + rng.normal(0, 0.3, points)
    rows = np.linspace(0, points - 1, 20).astype(int)
    on_front = tuple(
        Point(
            arch=decode(space, genomes[row]),
            macs=int(macs[row]),
            params=5_000_000,
            latency_ms_searched=ms,
            latency_ms=ms,
            latency_ms_interval=(ms * 0.95, ms * 1.05),
            accuracy=top1,
            accuracy_interval=(top1 - 1, top1 + 1),
            latency_ms_measured=ms * 1.01,
            latency_ms_measured_interval=(ms, ms * 1.02),
            latency_ms_wall_median=ms * 1.1,
            accuracy_measured=top1,
            accuracy_measured_interval=(top1 - 1, top1 + 1),
        )
        for row, ms, top1 in zip(
            rows, np.sort(latency_ms)[rows].tolist(), np.sort(accuracy)[rows].tolist(), strict=True
        )
    )
    cloud = [
        {"latency_ms": float(ms), "accuracy": float(top1)}
        for row, (ms, top1) in enumerate(zip(latency_ms, accuracy, strict=True))
        if row not in rows
    ]
    front = Front(
        device=device,
        space=space.name,
        settings={
            "command": f"harness run --device {device}",
            "supernet": None,
            "effort": {"name": "full"},
            "seed": 0,
            "distill": 0.0,
            "device": {"title": device, "identity": {"runtime": "torch"}},
        },
        table={"source": None, "clock": "wall"},
        accuracy_predictor={},
        points=on_front,
        cloud=tuple(cloud),
    )
    return replace(front, verification=gaps(on_front) | {"test_images": 10_000})


def ready_s(browser: Browser, path: Path) -> float:
    """From asking for the page until it can be used, in a window of its own."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.add_init_script(CLOCK)
    page = context.new_page()
    page.goto(path.as_uri(), wait_until="commit")
    page.wait_for_selector(READY, state="attached", timeout=60_000)
    found = float(page.evaluate("window.readyMs")) / 1e3
    context.close()
    return found


def show(times: dict[Path, list[float]], size_mb: float, devices: int, points: int) -> None:
    table = Table(title=f"{devices} devices, {points} points: {size_mb:.2f} MB")
    for heading in ("page", "median, s", "least", "most"):
        table.add_column(heading, justify="left" if heading == "page" else "right")
    for name, found in zip(("ours", "the library and one point"), times.values(), strict=True):
        kept = found[1:]
        table.add_row(name, *(f"{value:.2f}" for value in (median(kept), min(kept), max(kept))))
    Console().print(table)


if __name__ == "__main__":
    main()
