"""What is predicted of a model file on a device."""

from dataclasses import dataclass
from typing import Any

from harness.predictors.kernel_networks import NetworkLatency
from harness.predictors.kernel_savings import Saving


@dataclass(frozen=True)
class ModelPrediction:
    """Of one model file on one device."""

    model: str
    device: str
    latency: NetworkLatency
    activations_mb: float  # their peak
    macs: int
    params: int
    rests_on: str
    savings: tuple[Saving, ...]  # where a budget was given that the network exceeds

    def to_json(self) -> dict[str, Any]:
        """For scripts."""
        latency = self.latency
        return {
            "model": self.model,
            "device": self.device,
            "latency_ms": latency.latency_ms,
            "latency_ms_interval": None if latency.unknown else list(latency.latency_ms_interval),
            "whole": not latency.unknown,
            "unknown_operators": dict(latency.unknown),
            "share_of_timed_kernels": latency.timed,
            "activations_mb": self.activations_mb,
            "macs": self.macs,
            "params": self.params,
            "rests_on": self.rests_on,
            "kernels": [
                {
                    "name": part.name,
                    "operator": part.kernel.op,
                    "latency_ms": part.latency_ms,
                    "share": part.share,
                    "log_sd": part.log_sd,
                    "macs": part.kernel.macs,
                    "kernel": part.kernel.key,
                }
                for part in latency.parts
            ],
            "savings": [each.to_json() for each in self.savings],
        }

    def to_rows(self) -> list[dict[str, Any]]:
        """For spreadsheets: a row for each kernel, in the order of execution."""
        both = {"model": self.model, "device": self.device}
        return [both | each for each in self.to_json()["kernels"]]
