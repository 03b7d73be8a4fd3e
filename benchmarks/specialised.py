"""What do networks found for different devices look like? The OFA paper's figure 11, from our own.

Searches the front of each device by its own latencies, with the released accuracy predictor
(HARNESS_DATA), all with the same effort and seed: simulated FPGAs (their tables are made where they
are missing), measured and imported tables of the root, GPUs by the few networks that HARNESS_DATA
has of them. Prints shares of kernels and widths at the same predicted accuracies, saves the figure,
and prints, as its last line, one JSON object.

    harness measure --device cpu --device cpu-onnxruntime --space ofa-mbv3-w1.2 \\
        --resolutions 160,192,224
    python benchmarks/specialised.py --output docs/specialised.png
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from gpu_few_shot import DATA, read
from rich.console import Console
from rich.table import Table as Printed

from harness.cli.terminal import Terminal
from harness.device.device import Device
from harness.device.profile import profile_paths
from harness.effort import NORMAL
from harness.pipeline import steps
from harness.pipeline.job import Run
from harness.predictors.accuracy_source import accuracy_source
from harness.predictors.choice import latency_predictor
from harness.predictors.few_shot import fit
from harness.predictors.latency import LatencyPredictor
from harness.reports.style import KERNELS as COLOURS
from harness.reports.style import as_csv, drawing, save
from harness.searching.archive import search_front
from harness.searching.objectives import Cost, Found, Objectives
from harness.spaces.arch import Arch
from harness.spaces.convolution import convolutions
from harness.spaces.genome import decode, encode
from harness.spaces.ofa_mbv3 import OFA_MBV3_W1_2
from harness.spaces.space import Space
from harness.tables.table import Table
from harness.workspace import Workspace

RESOLUTIONS = (160, 192, 224)
SPACE = OFA_MBV3_W1_2.at(RESOLUTIONS)
DEVICES = ("zu3eg", "zu9eg", "cpu", "cpu-onnxruntime")
EVALUATIONS = 40_000
ACCURACIES = tuple(np.arange(79.0, 83.6, 0.5))  # percent, as the released predictor has them
WHICH = f"mean of {len(ACCURACIES)} at predicted {ACCURACIES[0]:g} to {ACCURACIES[-1]:g} %"
KERNELS = (3, 5, 7)


@dataclass(frozen=True)
class Look:
    """The networks of one device, cheapest at each of ACCURACIES, on average."""

    layers_3x3: float  # share of elastic layers
    layers_5x5: float
    layers_7x7: float
    ops_3x3: float  # share of the operations of elastic layers
    ops_5x5: float
    ops_7x7: float
    expand: float  # inner over input channels
    depth: float  # elastic layers
    resolution: float
    macs_m: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--root", type=Path, default=Path())
    parser.add_argument("--device", nargs="+", default=DEVICES)
    parser.add_argument("--gpu", nargs="*", default=["v100_1", "v100_64"])
    parser.add_argument("--output", type=Path, default=Path("specialised.png"))
    arguments = parser.parse_args()
    job = Run(Workspace(arguments.root), SPACE, Terminal(), NORMAL)
    predictors = {name: of_table(job, name) for name in arguments.device}
    predictors = predictors | of_gpus(arguments.gpu)
    source = accuracy_source(str(DATA / "ofa/acc_predictor.pth"), SPACE)
    looks = {}
    for name, predictor in predictors.items():
        cost = Cost(f"latency on {name}", "ms", predictor.predict, *predictor.smallest())
        found = search_front(Objectives(SPACE, source.accuracy, cost), EVALUATIONS)
        looks[name] = look(SPACE, chosen(found))
    Console().print(printed(looks))
    draw(looks, arguments.output)
    print(json.dumps({name: asdict(of_device) for name, of_device in looks.items()}))


def of_table(job: Run, name: str) -> LatencyPredictor:
    """What the device's table predicts; simulated ones are made on the way."""
    root = job.workspace.root
    simulated = name in profile_paths(root) and Device.find(name, root).profile.simulated
    if simulated:
        steps.measure(job, Device.find(name, root))
    path = job.workspace.table(name, SPACE.name)
    if not path.exists():
        pixels = ",".join(map(str, RESOLUTIONS))
        raise SystemExit(
            f"there is no {path}: harness measure --device {name} --space {SPACE.name} "
            f"--resolutions {pixels}"
        )
    return latency_predictor(Table.load(path), SPACE)


def of_gpus(names: Sequence[str]) -> dict[str, LatencyPredictor]:
    """Fits to all networks that somebody measured on a GPU."""
    settings = read(DATA) if names else {}
    found: dict[str, LatencyPredictor] = {}
    for name in names:
        if name not in settings:
            raise SystemExit(f"no GPU setting {name!r}; there are {', '.join(settings)}")
        measured = settings[name]
        inside = [i for i, arch in enumerate(measured.archs) if arch.resolution in RESOLUTIONS]
        genomes = encode(SPACE, [measured.archs[index] for index in inside])
        found[name] = fit(SPACE, genomes, measured.latency_ms[inside])
    return found


def chosen(found: Found) -> list[Arch]:
    """The cheapest network of the front that reaches each accuracy."""
    rows = [int(np.flatnonzero(found.accuracy >= wanted)[0]) for wanted in ACCURACIES]
    return [decode(SPACE, found.genomes[row]) for row in rows]


def look(space: Space, archs: Sequence[Arch]) -> Look:
    blocks = convolutions(
        space.block_of(place, arch)
        for arch in archs
        for place in space.active(arch)
        if space.places[place].stage is not None
    )
    layers = [sum(b.kernel == k for b in blocks) / len(blocks) for k in KERNELS]
    every = sum(block.macs for block in blocks)
    ops = [sum(b.macs for b in blocks if b.kernel == k) / every for k in KERNELS]
    return Look(
        layers_3x3=layers[0],
        layers_5x5=layers[1],
        layers_7x7=layers[2],
        ops_3x3=ops[0],
        ops_5x5=ops[1],
        ops_7x7=ops[2],
        expand=float(np.mean([b.mid_channels / b.in_channels for b in blocks])),
        depth=len(blocks) / len(archs),
        resolution=float(np.mean([arch.resolution for arch in archs])),
        macs_m=float(np.mean([sum(b.macs for b in space.blocks(arch)) for arch in archs])) / 1e6,
    )


def printed(looks: dict[str, Look]) -> Printed:
    table = Printed(title=f"networks found, {WHICH}")
    headings = ["device", *(f"{k}x{k}" for k in KERNELS), *(f"ops in {k}x{k}" for k in KERNELS)]
    for heading in (*headings, "expand", "layers", "pixels", "MACs, M"):
        first = heading == "device"
        table.add_column(heading, justify="left" if first else "right", no_wrap=first)
    for name, of_device in looks.items():
        *shares, expand, depth, resolution, macs_m = asdict(of_device).values()
        cells = [f"{share:.0%}" for share in shares]
        cells += [f"{expand:.2f}", f"{depth:.1f}", f"{resolution:.0f}", f"{macs_m:.0f}"]
        table.add_row(name, *cells)
    return table


def _is_simulated(name: str) -> bool:
    return Device.find(name, Path()).profile.simulated


def draw(looks: dict[str, Look], output: Path) -> None:
    simulated = [n for n in looks if n in profile_paths(Path()) and _is_simulated(n)]
    names = list(looks)
    with drawing("specialised") as plt:
        figure, panels = plt.subplots(1, 3, figsize=(11, 1.6 + 0.45 * len(names)), sharey=True)
        titles = ("layers by kernel", "their operations by kernel")
        for panel, part, title in zip(panels, ("layers", "ops"), titles, strict=False):
            left = np.zeros(len(names))
            for kernel in KERNELS:
                share = np.array([getattr(looks[n], f"{part}_{kernel}x{kernel}") for n in names])
                label, colour = f"{kernel}x{kernel}", COLOURS[kernel]
                panel.barh(names, share, left=left, color=colour, label=label)
                for row, (start, width) in enumerate(zip(left, share, strict=True)):
                    if width > 0.09:
                        middle = start + width / 2
                        text = f"{width:.0%}"
                        ink = "black" if kernel == KERNELS[0] else "white"
                        where = {"ha": "center", "va": "center", "fontsize": 9}
                        panel.text(middle, row, text, color=ink, **where)
                left += share
            panel.set_xlim(0, 1)
            panel.set_title(title, loc="left", fontweight="bold", fontsize=10)
            panel.set_xticks([])
        panels[0].legend(ncols=3, loc="upper left", bbox_to_anchor=(0, -0.02), frameon=False)
        widths = [looks[name].expand for name in names]
        panels[2].barh(names, widths, color="#009e73")
        for row, name in enumerate(names):
            text = f"{looks[name].expand:.2f} x, {looks[name].depth:.1f} layers"
            panels[2].text(0.1, row, text, va="center", color="white")
        title = "width: inner over input channels"
        panels[2].set_title(title, loc="left", fontweight="bold", fontsize=10)
        panels[2].set_xticks([])
        for panel in panels:
            panel.spines[:].set_visible(False)
            panel.tick_params(left=False)
        panels[0].invert_yaxis()
        panels[0].set_yticks(
            range(len(names)), [f"{n}\n(simulated)" if n in simulated else n for n in names]
        )
        figure.suptitle(f"networks found for each device, {WHICH}")
        figure.set_layout_engine("tight")
        columns = tuple(Look.__dataclass_fields__)
        rows = [(name, *asdict(looks[name]).values()) for name in names]
        save(figure, output.parent, output.stem, as_csv(("device", *columns), rows))


if __name__ == "__main__":
    main()
