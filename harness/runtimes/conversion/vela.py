"""What Arm's compiler vela says of workloads: int8 .tflite files, compiled for an Ethos-U."""

import csv
import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from harness import files
from harness.errors import ConversionFailed
from harness.hints import versions
from harness.runtimes.conversion.cache import content_path, converted, named
from harness.runtimes.conversion.tflite import TfliteConverter
from harness.runtimes.session import Workload
from harness.schema import checked

COMPILE = "import sys; from ethosu.vela.vela import main; sys.exit(main(sys.argv[1:]))"
CONFIGURATIONS = "Arm/vela.ini"  # of the package itself
TIMEOUT_S = 600.0
KIB = 1024


@dataclass(frozen=True)
class Estimate:
    """What the compiler says of one file."""

    latency_ns: int  # of the NPU alone
    cycles: int
    sram_bytes: int
    dram_bytes: int
    flash_bytes: int
    on_cpu: tuple[str, ...]  # types of operators that the NPU does not run


@dataclass(frozen=True)
class VelaConverter:
    """The compiler's estimates, as .json."""

    accelerator: str
    system_config: str
    memory_mode: str
    images: Path | None = None  # for the int8 ranges of network files
    suffix: ClassVar[str] = ".vela.json"
    slow: ClassVar[bool] = True
    takes_s: ClassVar[tuple[float, float]] = (0.2, 0.6)  # the int8 file and vela

    def path(self, workload: Workload) -> Path:
        """Raises MissingExtra where vela, or what makes .tflite files, is not installed."""
        ours = versions("Ethos-U NPUs need", "npu", "ethos-u-vela")
        ours |= {name: str(value) for name, value in asdict(self).items() if name != "images"}
        ours |= {"of": self._model().path(workload).name}  # in which is all that decides the file
        return content_path(self.suffix, dict(ours), workload)

    def estimate(self, workload: Workload) -> Estimate:
        """Raises ConversionFailed where the compiler refuses the file."""
        return checked(Estimate, json.loads(converted(self, workload).read_bytes()))

    def _model(self) -> TfliteConverter:
        return TfliteConverter(1, "int8", self.images)

    def model_file(self, workload: Workload) -> Path:
        """The .tflite file that is compiled."""
        return converted(self._model(), workload)

    def make(self, workload: Workload) -> bytes:
        """Raises ConversionFailed where the compiler refuses the file."""
        model = self.model_file(workload)
        return json.dumps(asdict(self.compiled(model, named(workload)))).encode()

    def compiled(self, model: Path, name: str) -> Estimate:
        """What the compiler says of a .tflite file that people know by `name`.

        Raises:
            ConversionFailed: it refuses the file.
        """
        with files.scratch() as folder:
            ended = subprocess.run(
                [
                    *(sys.executable, "-P", "-c", COMPILE, str(model.absolute())),
                    *("--accelerator-config", self.accelerator, "--config", CONFIGURATIONS),
                    *("--system-config", self.system_config, "--memory-mode", self.memory_mode),
                    *("--output-dir", str(folder), "--verbose-performance"),
                ],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
                check=False,
            )
            summary = next(folder.glob("*_summary_*.csv"), None)
            layers = next(folder.glob("*_per-layer.csv"), None)
            if ended.returncode or summary is None or layers is None:
                last_line = (ended.stderr.strip() or ended.stdout.strip()).splitlines()[-1:]
                raise ConversionFailed(f"vela cannot compile {name}: {''.join(last_line)}")
            return _estimate(summary, layers)


def _estimate(summary: Path, layers: Path) -> Estimate:
    """Of the compiler's two CSV files."""
    with summary.open(newline="") as file:
        (row,) = csv.DictReader(file)
    with layers.open(newline="") as file:
        targets = [(each["Original Operator"], each["Target"]) for each in csv.DictReader(file)]

    def size(memory: str) -> int:
        return round(float(row[f"{memory}_memory_used"]) * KIB)

    return Estimate(
        latency_ns=round(float(row["inference_time"]) * 1e9),
        cycles=round(float(row["cycles_total"])),
        sram_bytes=size("sram"),
        dram_bytes=size("dram"),
        flash_bytes=size("off_chip_flash"),
        on_cpu=tuple(sorted({operator for operator, target in targets if target == "CPU"})),
    )
