"""The figure of what finding networks costs against the number of devices they are for."""

from collections.abc import Iterator
from pathlib import Path

from harness.carbon.place import Site
from harness.carbon.table_2 import DEPLOYMENTS, METHODS
from harness.reports.style import COLOURS, INK, as_csv, drawing, plain, save, written_out

SHOWN = (
    "NASNet-A",
    "MnasNet",
    "MobileNetV2 #1200",
    "FBNet-C",
    "ProxylessNAS",
    "OFA w/ PS #25",
    "OFA w/ PS",
)


def save_deployments(folder: Path, place: Site) -> list[Path]:
    """Cost against the number of deployments (the paper's figure 5): PNG, SVG, PDF, CSV."""
    counts = range(1, DEPLOYMENTS + 1)
    with drawing("carbon", font_size=9) as plt:
        figure, axes = plt.subplots(figsize=(7.5, 4.6), layout="constrained")
        for number, name in enumerate(SHOWN):
            method = next(each for each in METHODS if each.name == name)
            values = [place.co2e_lb(method.gpu_h(count)) / 1000 for count in counts]
            axes.plot(counts, values, color=COLOURS[number % len(COLOURS)], label=name)
        axes.set_yscale("log")
        written_out(axes.yaxis, *axes.get_ylim())
        axes.set_xlabel("deployments, each for a device of its own")
        axes.set_ylabel("CO2e of finding and training, 1000 lb")
        axes.set_title("a supernet is trained once", loc="left", fontweight="bold", color=INK)
        plain(axes)
        axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
        names = ("method", "deployments", "gpu_h", "co2e_lb", "cost_usd")
        return save(figure, folder, "carbon", as_csv(names, _rows(place)))


def _rows(place: Site) -> Iterator[list[object]]:
    """Every method at every number of deployments."""
    for method in METHODS:
        for count in range(1, DEPLOYMENTS + 1):
            gpu_h = method.gpu_h(count)
            yield [method.name, count, gpu_h, place.co2e_lb(gpu_h), place.cost_usd(gpu_h)]
