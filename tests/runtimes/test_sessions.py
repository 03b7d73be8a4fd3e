"""What every runtime promises, tried on each that runs here."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter

from harness.deploy.eight_bits import EightBits, in_eight_bits, rms
from harness.errors import TargetFailed, TargetLost
from harness.hints import install
from harness.networks.build import build_lively
from harness.networks.file import NetworkFile, Preprocessing
from harness.networks.layers import SqueezeExcite
from harness.runtimes.conversion.cache import Converter, convert_all
from harness.runtimes.conversion.onnx import OnnxConverter
from harness.runtimes.conversion.ranges import range_inputs
from harness.runtimes.conversion.source import source_of
from harness.runtimes.conversion.tflite import TfliteConverter
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.resident import AGENT, ResidentSession
from harness.runtimes.runtime import RUNTIMES as REGISTRY
from harness.runtimes.session import seed_of
from harness.spaces.arch import Arch
from harness.spaces.convolution import Convolution
from harness.spaces.digits import DIGITS
from harness.transports.local import LocalTransport
from tests.conftest import lively_supernet, predict

RUNTIMES = [  # `tox -e runtimes` has them all
    pytest.param(
        each.name,
        marks=pytest.mark.skipif(
            not any(map(find_spec, each.board_packages)),
            reason=f"the runtime {each.name} is not installed: {install(each.name)}",
        ),
    )
    for each in REGISTRY.all()
    if each.board_packages
]
ARCH = Arch(16, (2, 1, 2), (5, 7, 0, 3, 0, 0, 5, 3, 0), (4, 3, 0, 6, 0, 0, 4, 6, 0))


def open_session(runtime: str, options: RuntimeOptions) -> ResidentSession:
    module = import_module(f"harness.runtimes.{runtime}")
    session: ResidentSession = module.open_session(LocalTransport(), options)
    return session


@pytest.fixture(scope="module", params=RUNTIMES)
def session(request: pytest.FixtureRequest) -> Iterator[ResidentSession]:
    """One for all tests that leave it as it was."""
    with closing(open_session(request.param, RuntimeOptions(cpus="one"))) as opened:
        yield opened


@pytest.fixture(scope="module")
def network_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    blocks = DIGITS.blocks(ARCH)
    weights = dict(lively_supernet().extract(ARCH).state_dict())
    path = tmp_path_factory.mktemp("networks") / "network.pt"
    origin = {"test": True}
    digits = tuple("0123456789")
    NetworkFile("digits", ARCH, blocks, weights, Preprocessing(16, 0, 1), digits, origin).save(path)
    return path


def images(count: int) -> torch.Tensor:
    return torch.randn(count, 1, 16, 16, generator=torch.Generator().manual_seed(2))


def test_a_network_file_gives_the_logits_that_torch_gives_here(
    session: ResidentSession, network_path: Path
) -> None:
    expected = predict(NetworkFile.load(network_path).module(), images(9)).numpy()
    logits = session.infer(network_path, images(9).numpy())
    assert logits.shape == (9, 10)
    assert expected.std(axis=0).mean() > 0.1  # between images
    assert np.allclose(logits, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_fixed_batch_takes_any_number_of_images(runtime: str, network_path: Path) -> None:
    session = open_session(runtime, RuntimeOptions(batch=4))
    expected = predict(NetworkFile.load(network_path).module(), images(9)).numpy()
    logits = session.infer(network_path, images(9).numpy())
    session.close()
    assert np.allclose(logits, expected, rtol=1e-3, atol=1e-4)


SMALLER = [
    ("openvino", "bfloat16"),
    ("openvino", "int8"),
    ("executorch", "int8"),
    ("ncnn", "float16"),
    ("ncnn", "bfloat16"),
]


@pytest.mark.parametrize(("runtime", "precision"), SMALLER)
def test_a_smaller_precision_gives_rounded_answers_of_the_same_network(
    runtime: str, precision: str, network_path: Path
) -> None:
    """Not those to another image, and not exact ones either."""
    if not any(map(find_spec, REGISTRY.find(runtime).board_packages)):
        pytest.skip(f"the runtime {runtime} is not installed")
    try:
        session = open_session(runtime, RuntimeOptions(precision=precision))
    except TargetFailed as error:
        pytest.skip(str(error))
    with closing(session):
        logits = session.infer(network_path, images(40).numpy())
        (block, *_) = DIGITS.blocks(ARCH)[3:]
        assert session.visit((block,), 1).values["wall"]
    exact = predict(NetworkFile.load(network_path).module(), images(40)).numpy()
    apart, others = rms(logits - exact), rms(np.roll(exact, 1, axis=0) - exact)
    assert 1e-5 * others < apart < 0.5 * others


def test_blocks_of_every_kind_can_be_visited(session: ResidentSession) -> None:
    before = time.time_ns()
    kinds = {(b.kind, b.kernel, b.stride, b.residual): b for b in DIGITS.distinct_blocks()}
    blocks = [(block,) for block in kinds.values()]
    session.prepare(blocks)
    for (block,) in blocks:
        samples = session.visit((block,), runs=3)
        assert len(samples.values["wall"]) == 3
        assert len(samples.values["thread"]) == 3
        assert min(samples.values["thread"]) > 0
        assert before <= samples.at_ns <= time.time_ns()


def test_blocks_are_timed_with_the_weights_of_their_seed(session: ResidentSession) -> None:
    blocks = DIGITS.blocks(ARCH)
    expected = predict(build_lively(blocks, seed_of(blocks)), images(2)).numpy()
    logits = session.infer(blocks, images(2).numpy())
    assert np.allclose(logits, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_thread_time_is_given_only_where_one_thread_does_the_work(runtime: str) -> None:
    session = open_session(runtime, RuntimeOptions(num_threads=2))
    samples = session.visit(DIGITS.blocks(ARCH), runs=2)
    session.close()
    assert len(samples.values["wall"]) == 2
    assert "thread" not in samples.values


def test_more_work_takes_longer(session: ResidentSession) -> None:
    small = DIGITS.blocks(Arch(12, (1,) * 3, (3,) * 9, (3,) * 9))
    large = DIGITS.blocks(Arch(20, (3,) * 3, (7,) * 9, (6,) * 9))
    fastest = [min(session.visit(blocks, 20).values["wall"]) for blocks in (small, large)]
    assert fastest[1] > 1.5 * fastest[0]


def test_a_workload_can_be_unloaded_and_visited_again(session: ResidentSession) -> None:
    blocks = DIGITS.blocks(ARCH)
    other = (DIGITS.distinct_blocks()[0],)
    for _ in range(3):
        session.visit(blocks, runs=1)
        session.visit(other, runs=1)
        session.unload(blocks)
    session.unload(blocks)  # harmless


def test_starting_tells_times_and_memory_of_a_process_of_its_own(session: ResidentSession) -> None:
    small = (Convolution("linear", 1, 1, 64, 0, 64, 1, 1, "none", 0, False),)
    large = (
        Convolution("linear", 1, 1, 4096, 0, 4096, 1, 1, "none", 0, False),
    )  # weights of 67 MB
    session.prepare([small, large])
    session.visit(small, 1)
    starts = {blocks: session.start(blocks) for blocks in (small, large)}
    assert all(each.load_ms > 0 and each.first_ms > 0 for each in starts.values())
    (of_small, of_large) = (starts[blocks].memory_mb for blocks in (small, large))
    assert of_small is not None
    assert of_large is not None
    assert of_small + 60 < of_large < of_small + 5 * 67
    assert session.visit(small, 1).values["wall"]  # what is loaded here stays


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_operators_of_a_network_are_counted_and_timed_where_the_runtime_tells(
    runtime: str,
) -> None:
    blocks = DIGITS.blocks(ARCH)
    with closing(open_session(runtime, RuntimeOptions())) as session:
        if not REGISTRY.find(runtime).profiles_operators:
            with pytest.raises(TargetFailed, match="tells no times of operators"):
                session.profile_ops(blocks)
            return
        ops = session.profile_ops(blocks)
    convolutions = [each for each in ops if "conv" in each.op.lower()]
    weighted = sum(isinstance(m, torch.nn.Conv2d) for m in build_lively(blocks, 0).modules())
    assert 0 < max(each.count for each in convolutions) <= weighted
    assert sum(each.mean_ms for each in convolutions) > 0


def test_streams_run_side_by_side_and_what_is_loaded_stays() -> None:
    blocks = DIGITS.blocks(ARCH)
    with closing(open_session("onnxruntime", RuntimeOptions(cpus="one"))) as session:
        session.load(blocks)
        before = agents()
        seen = []
        real = session._again

        def again(options: RuntimeOptions) -> ResidentSession:
            seen.append(options.cpus)
            return real(options)

        session._again = again
        found = session.throughput(blocks, 2, 0.2)
        assert (found.streams, seen) == (2, ["any", "any"])
        assert found.runs_per_s > 0
        assert agents() == before
        assert session.visit(blocks, 1).values["wall"]


def test_the_session_says_where_it_runs(session: ResidentSession) -> None:
    assert session.environment["processor"]
    assert session.environment["processors"] == str([max(os.sched_getaffinity(0))])
    conditions = session.conditions()
    assert conditions["load_1m"] is None or isinstance(conditions["load_1m"], float)


def test_what_others_use_of_the_processors_is_told_after_the_shortest_rounds(
    session: ResidentSession,
) -> None:
    """A round over a small space takes less time than ticks of the system need to tell."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as loop:
        session.conditions()
        time.sleep(0.5)
        told = [session.conditions()["other_cpus"] for _ in range(3)]
        loop.kill()
    assert all(isinstance(cpus, float) and cpus > 0.25 for cpus in told)


def test_asking_a_board_for_its_power_mode_is_no_other_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvpmodel"
    program.write_text("#!/bin/sh\necho asked >>$0.log; echo NV Power Mode: MAXN\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with closing(open_session("onnxruntime", RuntimeOptions())) as session:
        send, said = session._process.send, []

        def listen(request: str) -> None:
            said.append((json.loads(request)["op"], Path(f"{program}.log").read_text().count("a")))
            send(request)

        monkeypatch.setattr(session._process, "send", listen)
        before = Path(f"{program}.log").read_text().count("a")
        assert session.conditions()["power_mode"] == "MAXN"
    assert said == [("conditions", before), ("resume", before + 1)]


def test_what_the_device_cannot_do_is_its_own_error_and_the_session_goes_on(
    session: ResidentSession,
) -> None:
    blocks = DIGITS.blocks(ARCH)
    with pytest.raises(TargetFailed):
        session.infer(blocks, np.zeros((1, 3, 5, 5), np.float32))
    assert session.visit(blocks, runs=1).values["wall"]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_agent_that_dies_is_a_lost_target(runtime: str) -> None:
    with closing(open_session(runtime, RuntimeOptions())) as session:
        os.kill(session._process._child.pid, signal.SIGKILL)  # type: ignore[attr-defined]
        with pytest.raises(TargetLost):
            session.visit(DIGITS.blocks(ARCH), runs=1)


@pytest.mark.parametrize("cpus", ["0x800000000000"])
def test_processors_that_are_not_there_are_refused(cpus: str) -> None:
    with pytest.raises(TargetFailed, match="not here"):
        open_session("torch", RuntimeOptions(cpus=cpus))


@pytest.mark.parametrize(
    ("runtime", "converter"),
    [("onnxruntime", OnnxConverter(1)), ("litert", TfliteConverter(1, "float32"))],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_second_table_costs_no_conversion(runtime: str, converter: Converter) -> None:
    workloads = [DIGITS.blocks(ARCH), (DIGITS.distinct_blocks()[-3],)]

    def files() -> list[int]:
        return [converter.path(workload).stat().st_mtime_ns for workload in workloads]

    for attempt in range(2):
        session = open_session(runtime, RuntimeOptions())
        converted: list[tuple[int, int]] = []
        session.prepare(workloads, lambda *progress, log=converted: log.append(progress))
        for workload in workloads:
            session.load(workload)
        session.close()
        if attempt == 0:
            made = files()
    assert converted == []
    assert files() == made


def with_wrong_weights(content: bytes, factor: float) -> Iterator[tuple[str, bytes]]:
    """The .tflite file, the weights' scales of another operator wrong by a factor each time.

    Of what reaches the logits most: not of attention, which sees one pixel and moves a gate.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    count = len(schema.ModelT.InitFromPackedBuf(content, 0).subgraphs[0].operators)
    for number in range(count):
        model = schema.ModelT.InitFromPackedBuf(content, 0)
        (graph,) = model.subgraphs
        operator = graph.operators[number]
        kind = model.operatorCodes[operator.opcodeIndex].builtinCode
        shape = list(graph.tensors[operator.outputs[0]].shape)
        convolves = kind in (
            schema.BuiltinOperator.CONV_2D,
            schema.BuiltinOperator.DEPTHWISE_CONV_2D,
        ) and shape[1:3] != [1, 1]
        if convolves or kind == schema.BuiltinOperator.FULLY_CONNECTED:
            weights = graph.tensors[operator.inputs[1]].quantization
            weights.scale = [float(np.float32(scale * factor)) for scale in weights.scale]
            builder = flatbuffers.Builder(len(content))
            builder.Finish(model.Pack(builder), b"TFL3")
            yield f"{number}.tflite", bytes(builder.Output())


@pytest.fixture(scope="module")
def eight_bits(network_path: Path) -> EightBits:
    """What the network answers to `images(40)`; ranges are those that its file is made with."""
    inputs = range_inputs(network_path, source_of(network_path), 1, None)
    seen = torch.from_numpy(inputs[:, 0]).contiguous()
    return in_eight_bits(NetworkFile.load(network_path).module(), seen, images(40))


def test_int8_answers_as_8_bits_do_and_wrong_scales_and_zero_points_of_its_ends_do_not(
    network_path: Path, eight_bits: EightBits
) -> None:
    pixels = images(40)
    with closing(open_session("litert", RuntimeOptions(precision="int8"))) as session:
        logits = session.infer(network_path, pixels.numpy())
        assert eight_bits.agree(logits)
        assert not eight_bits.agree(
            predict(NetworkFile.load(network_path).module(), pixels).numpy()
        )
        ends = Interpreter(model_path=str(TfliteConverter(1, "int8").path(network_path)))
        (given,), (wanted,) = ends.get_input_details(), ends.get_output_details()
        # A scale that is taken for 5 % more or less, a zero point for two levels more or less.
        for scale, zero in ((1.05, 0), (0.95, 0), (1, 2), (1, -2)):
            assert not eight_bits.agree(logits * scale + zero * wanted["quantization"][0])
            shown = pixels * scale + zero * given["quantization"][0]
            assert not eight_bits.agree(session.infer(network_path, shown.numpy()))


def test_no_int8_file_whose_weights_have_a_wrong_scale_answers_as_8_bits_do(
    network_path: Path, eight_bits: EightBits, tmp_path: Path
) -> None:
    converter = TfliteConverter(1, "int8")
    convert_all(converter, [network_path])
    content, wrong = converter.path(network_path).read_bytes(), 0
    with closing(open_session("litert", RuntimeOptions())) as session:
        for name, broken in with_wrong_weights(content, 1.05):
            (tmp_path / name).write_bytes(broken)
            answers = session.infer(tmp_path / name, images(40).numpy())
            assert not eight_bits.agree(answers), name
            wrong += 1
    layers = list(NetworkFile.load(network_path).module().modules())
    weighted = sum(isinstance(layer, torch.nn.Conv2d | torch.nn.Linear) for layer in layers)
    assert wrong == weighted - 2 * sum(isinstance(layer, SqueezeExcite) for layer in layers)


def test_the_agent_ends_when_its_parent_is_killed() -> None:
    code = (
        "from harness.runtimes.torch import open_session\n"
        "from harness.runtimes.options import RuntimeOptions\n"
        "from harness.transports.local import LocalTransport\n"
        "session = open_session(LocalTransport(), RuntimeOptions())\n"
        "print(session._process._child.pid, flush=True)\n"
        "import time; time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        agent = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    for _ in range(100):
        if not Path(f"/proc/{agent}").exists() or _is_zombie(agent):
            return
        time.sleep(0.1)
    raise AssertionError(f"agent {agent} still runs")


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def agents() -> set[int]:
    """Child processes of ours."""
    listed = subprocess.run(
        ["pgrep", "-P", str(os.getpid())], capture_output=True, text=True, check=False
    )
    return {int(pid) for pid in listed.stdout.split()}


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (signal.SIGKILL, r"signal 9 \(SIGKILL, perhaps for lack of memory\)"),
        (signal.SIGSEGV, r"signal 11 \(SIGSEGV\)"),
    ],
)
def test_an_agent_here_that_a_signal_ends_says_so(number: signal.Signals, told: str) -> None:
    before = agents()
    with closing(open_session("onnxruntime", RuntimeOptions())) as session:
        (agent,) = agents() - before
        os.kill(agent, number)
        with pytest.raises(TargetLost, match=told) as caught:
            session.conditions()
    assert "[ssh]" not in str(caught.value)


def test_an_agent_here_that_a_signal_ends_as_it_starts_says_so() -> None:
    transport = LocalTransport()
    transport.python = ("sh", "-c", "kill -9 $$")
    with pytest.raises(TargetLost, match=r"was ended by signal 9 \(SIGKILL") as caught:
        ResidentSession(transport, AGENT / "with_torch.py", RuntimeOptions(), lambda _: {})
    assert "no Python" not in str(caught.value)
    assert "[ssh]" not in str(caught.value)
