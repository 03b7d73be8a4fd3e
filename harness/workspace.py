"""Where everything lies under `--root`."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import __version__, files


@dataclass(frozen=True)
class Workspace:
    """The folders that users see, and `runs/` for what can be made again."""

    root: Path

    def check_writable(self) -> None:
        """Raises WorkspaceError now rather than after a minute of work."""
        probe = self.root / "runs" / ".writable"
        files.write_text(probe, "")
        probe.unlink(missing_ok=True)  # another run may have been quicker

    def table(self, device: str, space: str, quantity: str = "latency") -> Path:
        name = space if quantity == "latency" else f"{space}.{quantity}"
        return self.root / "tables" / f"{device}.{name}.jsonl"

    @property
    def imported(self) -> Path:
        """Whole networks on devices of others, a file for each source."""
        return self.root / "tables" / "imported"

    def tables(self, space: str) -> list[Path]:
        """All tables of latencies of a space."""
        return sorted((self.root / "tables").glob(f"*.{space}.jsonl"))

    def devices(self, space: str = "*") -> list[str]:
        """Those with a table of latencies of a space; by default, of any."""
        return sorted({path.name.partition(".")[0] for path in self.tables(space)})

    def spaces(self, device: str) -> list[str]:
        """Those that a device has a table or a front of."""
        tables = (self.root / "tables").glob(f"{device}.*.jsonl")
        fronts = (self.root / "reports").glob(f"{device}.*/front.json")
        names = [path.stem for path in tables] + [path.parent.name for path in fronts]
        found = {name.partition(".")[2].removesuffix(".energy") for name in names}
        return sorted(found - {"baselines", "kernels"})

    def report(self, device: str, space: str) -> Path:
        return self.root / "reports" / f"{device}.{space}"

    def report_across(self, space: str) -> Path:
        """Of several devices."""
        return self.root / "reports" / space

    def front(self, device: str, space: str) -> Path:
        return self.report(device, space) / "front.json"

    def journal(self, device: str, space: str, campaign: str) -> Path:
        """Raw samples of a campaign."""
        return self.root / "runs" / f"{device}.{space}" / f"{campaign}.jsonl"

    def labels(self, device: str, space: str, campaign: str) -> Path:
        """What each verified network answered to the test images."""
        return self.journal(device, space, f"{campaign}.labels")

    def config(self, supernet: str) -> Path:
        """How a supernet was trained."""
        return self.root / "runs" / supernet / "config.json"

    def training(self, space: str, settings: dict[str, Any]) -> Path:
        """The folder of one supernet: settings that differ never meet in one folder."""
        text = json.dumps([__version__, settings], sort_keys=True)
        return self.root / "runs" / f"{space}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
