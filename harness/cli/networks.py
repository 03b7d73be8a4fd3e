"""The commands that make network files of networks, and bundles of these; and published ones."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.commands import app
from harness.cli.options import (
    HERE,
    At,
    Data,
    DeviceName,
    Root,
    SpaceThere,
    found_there,
    job_for,
    job_of_front,
    terminal,
)
from harness.errors import UsageError


@app.command()
def extract(
    network: Annotated[
        str, typer.Argument(help="`front:7` (the eighth point), an arch file or a net.config.")
    ],
    output: Annotated[Path, typer.Argument(help="The network file to write.")],
    device: DeviceName = "cpu",
    space: SpaceThere = None,
    supernet: Annotated[
        Path | None, typer.Option(help="A supernet of ours, or as the OFA authors release them.")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="Of a net.config, its file `init`; else the word `init`: untrained."),
    ] = None,
    resolution: Annotated[
        int | None, typer.Option(min=1, help="Of a net.config, pixels (default: what it states).")
    ] = None,
    data: Data = None,
    root: Root = HERE,
) -> None:
    """Take one network out of a front, a supernet or a published file, into a network file."""
    from harness.cli.words.network import describe_extracted
    from harness.pipeline.extract import ExtractRequest, extract_network

    device, space = found_there(device, space, root)
    asked = ExtractRequest(network, device, supernet, weights, resolution, data)
    job = (
        job_of_front(device, space, root) if network.startswith("front:") else job_for(space, root)
    )
    terminal().say(describe_extracted(extract_network(job, asked, output)))


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Where the bundle goes.")],
    network: Annotated[Path | None, typer.Option(help="A network file.")] = None,
    device: Annotated[str | None, typer.Option(help="Else from this device's front.")] = None,
    max_latency_ms: Annotated[
        float | None,
        typer.Option(min=0, help="What a run takes there at most, by its interval's upper end."),
    ] = None,
    at: At = None,
    supernet: Annotated[
        Path | None, typer.Option(help="Its weights, where the front was found without training.")
    ] = None,
    formats: Annotated[
        str | None,
        typer.Option(
            help="Of pt2,onnx,tflite,tflite-int8 (default: those that can be made here), "
            "openvino,executorch,ncnn,mnn."
        ),
    ] = None,
    readme: Annotated[
        str | None,
        typer.Option(
            help="Under which license you publish it, such as apache-2.0: puts what model hubs "
            "read into the README's head."
        ),
    ] = None,
    space: SpaceThere = None,
    data: Data = None,
    root: Root = HERE,
) -> None:
    """A network as .pt2, .onnx and .tflite (float and int8), checked, with a card."""
    from harness.cli.words.network import bundle_lines
    from harness.pipeline.export import Bundle
    from harness.pipeline.export import export as step
    from harness.tables.statements import check_time

    if (network is None) == (device is None):
        raise UsageError("export takes --network FILE, or --device (with --max-latency-ms)")
    if supernet is not None and device is None:
        raise UsageError("--supernet is for --device: a network file has weights of its own")
    if device is None and (at or max_latency_ms is not None):
        raise UsageError("--max-latency-ms and --at choose from the front of a --device")
    check_time(at)
    if device is None:
        job = job_for(space or "digits", root)
    else:
        device, space = found_there(device, space, root)
        job = job_of_front(device, space, root)
    bundle = Bundle(folder, network, device, max_latency_ms, at, supernet, data, formats, readme)
    terminal().say(*bundle_lines(folder, step(job, bundle)))


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="ofa-mbv3-w1.2, acc-predictor, note10, ...")],
    root: Root = HERE,
) -> None:
    """Download what the OFA authors published: weights, tables, predictor, networks."""
    from harness.pipeline.fetch import fetch as step

    folder = root / "published"
    step(terminal(), name, folder)
    terminal().say(f"in {folder}")
