"""MLPerf's scenarios (arXiv:1911.02549, section IV), played by its own load generator, LoadGen."""

import os
import re
import shutil
import tempfile

SAMPLES = 1024  # that LoadGen draws from: each is the input that is loaded
STREAMS = 8  # samples of a query of several streams, as in MLPerf's rules for the edge
# LoadGen's name of each, and of its figure in the summary that LoadGen writes.
SCENARIOS = {
    "single-stream": ("SingleStream", "90.0th percentile latency (ns)"),
    "multi-stream": ("MultiStream", "99.0th percentile latency (ns)"),
    "offline": ("Offline", "Samples per second"),
}
LINE = re.compile(r"^\s*([^:\n]+?)\s*:\s*(.+?)\s*$", re.MULTILINE)


def play(run, wait, scenario, seconds, run_ns):
    """`wait`: until what was run is done, where that is queued.

    {value: the scenario's figure, valid: whether LoadGen found enough runs for it}."""
    import mlperf_loadgen as loadgen

    name, figure = SCENARIOS[scenario]
    settings = loadgen.TestSettings()
    settings.scenario = getattr(loadgen.TestScenario, name)
    settings.mode = loadgen.TestMode.PerformanceOnly
    settings.min_duration_ms = int(seconds * 1e3)
    settings.min_query_count = 1
    settings.multi_stream_samples_per_query = STREAMS
    settings.offline_expected_qps = 1e9 / run_ns

    def issue(samples):
        for sample in samples:
            run()
            wait()
            loadgen.QuerySamplesComplete([loadgen.QuerySampleResponse(sample.id, 0, 0)])

    def nothing(*_samples):
        """All is loaded, and nothing waits."""

    folder = tempfile.mkdtemp()
    logs = loadgen.LogSettings()
    logs.log_output.outdir = folder
    logs.enable_trace = False
    system = loadgen.ConstructSUT(issue, nothing)
    library = loadgen.ConstructQSL(SAMPLES, SAMPLES, nothing, nothing)
    try:
        loadgen.StartTestWithLogSettings(system, library, settings, logs)
        with open(os.path.join(folder, "mlperf_log_summary.txt")) as file:
            told = dict(LINE.findall(file.read()))
    finally:
        loadgen.DestroyQSL(library)
        loadgen.DestroySUT(system)
        shutil.rmtree(folder)
    return {"value": float(told[figure]), "valid": told["Result is"] == "VALID"}
