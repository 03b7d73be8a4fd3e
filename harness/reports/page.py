"""The page of a front: one HTML file that needs nothing else."""

import base64
import json
from collections import defaultdict
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from harness import files
from harness.deploy.front import Front
from harness.spaces.arch import Arch
from harness.spaces.space import Space


def templates() -> Environment:
    """Ours; whatever is filled in stays text."""
    return Environment(
        loader=PackageLoader("harness.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def save_page(front: Front, space: Space, folder: Path) -> Path:
    """Write `index.html` beside the plot, which must be there already."""
    environment = templates()
    environment.filters["arch"] = lambda arch: describe_arch(space, arch)
    svg = base64.b64encode((folder / "pareto.svg").read_bytes()).decode()
    page = environment.get_template("front.html").render(
        front=front,
        space=space,
        plot=f"data:image/svg+xml;base64,{svg}",
        settings=json.dumps(front.settings, indent=1),
    )
    path = folder / "index.html"
    files.write_text(path, page)
    return path


def describe_arch(space: Space, arch: Arch) -> str:
    """An arch in short: each stage's layers with what was chosen for them, as `k5e6`."""
    stages: dict[int, list[str]] = defaultdict(list)
    for index in space.active(arch):
        place = space.places[index]
        genes = (space.genes[column] for column in place.genes[1:])
        layer = "".join(f"{gene.part[0]}{arch.part(gene.part)[gene.index]:g}" for gene in genes)
        if place.stage is not None:
            stages[place.stage].append(layer)
    return " | ".join(" ".join(layers) for layers in stages.values())
