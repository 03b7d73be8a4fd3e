"""From a folder of images of one's own to a verified front: how long, how true, how accurate?

Makes folders of shapes in noise (tests/shapes.py) and runs `harness run --data` on each, as a user
would, on this computer through torch and onnxruntime. One image is damaged, and with --smallest the
last class has that many.

Prints a line for each front, and as its last line one JSON object.

    python benchmarks/own_images.py [--grey] [--classes 300 --images 10] [--smallest 2] [--quick]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from scipy.stats import spearmanr

from harness.deploy.front import Front

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.shapes import make_shapes

DEVICES = ("cpu", "cpu-onnxruntime")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--classes", type=int, default=4)
    parser.add_argument("--images", type=int, default=200, help="of each class")
    parser.add_argument("--smallest", type=int, help="images of the last class")
    parser.add_argument("--grey", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--root", type=Path, help="kept there (default: nowhere)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = asked.root or Path(temporary)
        data = make_shapes(root / "images", asked.images, asked.classes, asked.grey)
        damaged = min(data.rglob("*.png"))
        damaged.write_bytes(damaged.read_bytes()[:200])
        if asked.smallest is not None:
            last = max(path for path in data.iterdir() if path.is_dir())
            for path in sorted(last.iterdir())[asked.smallest :]:
                path.unlink()
        words = ["run", "--data", str(data), "--root", str(root), *["--quick"] * asked.quick]
        words += [word for device in DEVICES for word in ("--device", device)]
        count = len(list(data.rglob("*.png")))
        started = time.monotonic()
        ended = subprocess.run(
            [sys.executable, "-m", "harness", *words], stdout=subprocess.PIPE, text=True, check=True
        )
        minutes = (time.monotonic() - started) / 60
        print(ended.stdout)
        fronts = [Front.load(path) for path in sorted(root.glob("reports/*/front.json"))]
    print(
        json.dumps(
            {
                "processors": len(os.sched_getaffinity(0)),
                "space": fronts[0].space,
                "images": count,
                "minutes": round(minutes, 2),
                "chance": round(100 / asked.classes, 2),
                "damaged_named": damaged.name in ended.stdout,
                "fronts": {front.device: figures(front) for front in fronts},
            }
        )
    )


def figures(front: Front) -> dict[str, Any]:
    """What verifying said, from the fastest network to the slowest."""
    checked = front.verification or {}
    latencies = [point.latency_ms_measured for point in front.points]
    accuracies = [point.accuracy_measured for point in front.points]
    return {
        "networks": len(front.points),
        "within_10": checked["latency_within_10"],
        "mape": round(checked["latency_mape"], 4),
        "test_images": checked["test_images"],
        "latencies_ms": [round(value, 4) for value in latencies if value is not None],
        "accuracies": [round(value, 2) for value in accuracies if value is not None],
        "spearman": round(float(spearmanr(latencies, accuracies).statistic), 3),
    }


if __name__ == "__main__":
    main()
