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
    names = [_name(workspace, device) for device in devices]
    runtimes = {name: _runtime(workspace, name) for name in names}
    graphs = {
        (model, runtime.name): read_model(Path(model), asked, runtime)
        for model in models
        for runtime in runtimes.values()
    }
    predictors = {name: _predictor(workspace.table(name, NAME), name) for name in names}
    return [
        _predict(model, graphs[model, runtimes[name].name], name, predictor, budget_ms)
        for model in models
        for name, predictor in predictors.items()
    ]


def _name(workspace: Workspace, device: str) -> str:
    if workspace.table(device, NAME).exists():
        return device
    from harness.device.profile import full_name  # much, where the table tells all

    return full_name(device, workspace.root)


def _runtime(workspace: Workspace, device: str) -> KernelRuntime:
    """Raises TableError: there are no tables of its kernels."""
    path = workspace.table(device, NAME)
    if path.exists():
        runtime = fitted(path).runtime
    else:
        from harness.device.profile import load_profile

        runtime = load_profile(device, workspace.root).runtime
    if runtime not in KERNEL_RUNTIMES:
        known = ", ".join(KERNEL_RUNTIMES)
        raise TableError(f"{device}: kernels are known of {known}, not of {runtime}")
    return KERNEL_RUNTIMES[runtime]


def _predictor(path: Path, device: str) -> KernelNetworks:
    if not path.exists():
        make = command("measure", "--kernels", "--device", device)
        raise TableError(f"there is no table {path}; {make} makes it")
    return fitted(path)


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
