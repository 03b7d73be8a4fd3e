"""`harness predict MODEL`: what any model file takes on a device with a table of kernels."""

from collections.abc import Sequence
from pathlib import Path

from harness.errors import TableError
from harness.graphs.graph import Graph
from harness.graphs.reading import KERNEL_RUNTIMES, SUFFIXES, KernelRuntime, read_model
from harness.hints import command
from harness.predictors.kernel_fit import fitted
from harness.predictors.kernel_networks import NAME, KernelNetworks
from harness.predictors.kernel_savings import savings
from harness.predictors.model_prediction import ModelPrediction
from harness.runtimes.model_inputs.asked import Asked
from harness.workspace import Workspace


def are_models(names: Sequence[str]) -> bool:
    """Whether they are files that are read as kernels."""
    return all(Path(name).suffix.lower() in SUFFIXES for name in names)


def predict_models(
    workspace: Workspace,
    models: Sequence[str],
    devices: Sequence[str],
    asked: Asked,
    budget_ms: float | None = None,
) -> list[ModelPrediction]:
    """What each file takes on each device.

    Devices are called by their names or aliases.

    Raises:
        TableError: a device has no table of kernels.
        ProfileError: there is no such device.
        UsageError, FileFormatError: as `graphs.reading.read_model`.
    """
    predictors = dict(_predictor(workspace, name) for name in devices)
    runtimes = {name: _runtime(name, predictor.runtime) for name, predictor in predictors.items()}
    graphs = {
        (model, runtime.name): read_model(Path(model), asked, runtime)
        for model in models
        for runtime in runtimes.values()
    }
    return [
        _predict(model, graphs[model, runtimes[name].name], name, predictor, budget_ms)
        for model in models
        for name, predictor in predictors.items()
    ]


def _predictor(workspace: Workspace, device: str) -> tuple[str, KernelNetworks]:
    """By the device's name, where it has kernels that are known."""
    path = workspace.table(device, NAME)
    if not path.exists():
        from harness.device.profile import (  # much, where the table tells all
            full_name,
            load_profile,
        )

        device = full_name(device, workspace.root)
        _runtime(device, load_profile(device, workspace.root).runtime)
        path = workspace.table(device, NAME)
    if not path.exists():
        make = command("measure", "--kernels", "--device", device)
        raise TableError(f"there is no table {path}; {make} makes it")
    return device, fitted(path)


def _runtime(device: str, runtime: str) -> KernelRuntime:
    """Raises TableError: its kernels are not known here."""
    if runtime not in KERNEL_RUNTIMES:
        known = " and ".join(KERNEL_RUNTIMES)
        raise TableError(f"{device}: kernels are known of {known}, not of {runtime}")
    return KERNEL_RUNTIMES[runtime]


def _predict(
    model: str, graph: Graph, device: str, predictor: KernelNetworks, budget_ms: float | None
) -> ModelPrediction:
    latency = predictor.predict(graph)
    exceeds = budget_ms is not None and latency.latency_ms > budget_ms
    return ModelPrediction(
        model=model,
        device=device,
        latency=latency,
        activations_mb=graph.peak_activations_bytes / 1e6,
        macs=sum(kernel.macs for kernel in graph.kernels),
        params=sum(kernel.params for kernel in graph.kernels),
        rests_on=predictor.describe(),
        savings=tuple(savings(predictor, latency)) if exceeds else (),
    )
