"""`harness predict MODEL`: what any model file takes on a device with a table of kernels."""

from collections.abc import Sequence
from pathlib import Path

from harness.device.profile import load_profile
from harness.errors import TableError
from harness.graphs.graph import Graph
from harness.graphs.reading import KERNEL_RUNTIMES, SUFFIXES, KernelRuntime, read_model
from harness.hints import command
from harness.pipeline.job import Run
from harness.predictors.kernel_fit import fitted
from harness.predictors.kernel_networks import NAME, KernelNetworks
from harness.predictors.kernel_savings import savings
from harness.predictors.model_prediction import ModelPrediction
from harness.runtimes.model_inputs.asked import Asked


def are_models(names: Sequence[str]) -> bool:
    """Whether they are files that are read as kernels."""
    return all(Path(name).suffix.lower() in SUFFIXES for name in names)


def predict_models(
    job: Run,
    models: Sequence[str],
    devices: Sequence[str],
    asked: Asked,
    budget_ms: float | None = None,
) -> list[ModelPrediction]:
    """What each file takes on each device.

    Raises:
        TableError: a device has no table of kernels.
        ProfileError: there is no such device.
        UsageError, FileFormatError: as `graphs.reading.read_model`.
    """
    runtimes = {name: _runtime(name, job.workspace.root) for name in devices}
    graphs = {
        (model, runtime.name): read_model(Path(model), asked, runtime)
        for model in models
        for runtime in runtimes.values()
    }
    predictors = {name: _predictor(job.workspace.table(name, NAME), name) for name in devices}
    return [
        _predict(model, graphs[model, runtimes[name].name], name, predictor, budget_ms)
        for model in models
        for name, predictor in predictors.items()
    ]


def _runtime(device: str, root: Path) -> KernelRuntime:
    """Raises TableError: there are no tables of its kernels."""
    runtime = load_profile(device, root).runtime
    if runtime not in KERNEL_RUNTIMES:
        known = " and ".join(KERNEL_RUNTIMES)
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
