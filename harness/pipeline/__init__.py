"""`harness run`: train, evaluate, measure, search, verify, report.

Each step returns at once with what is there where it is done already, and goes on where it was
stopped.
"""

from harness.deploy.front import Front
from harness.devices.device import Device
from harness.pipeline.exchange import compare_tables, export_published, import_published
from harness.pipeline.front import (
    extract_point,
    report,
    search,
    search_constrained,
    verify,
)
from harness.pipeline.job import Run
from harness.pipeline.refresh import refresh
from harness.pipeline.supernet import fit_accuracy, train
from harness.pipeline.table import describe_table, measure, refit

__all__ = [
    "Run",
    "compare_tables",
    "describe_table",
    "export_published",
    "extract_point",
    "fit_accuracy",
    "import_published",
    "measure",
    "refit",
    "refresh",
    "report",
    "run",
    "search",
    "search_constrained",
    "train",
    "verify",
]


def run(job: Run, devices: list[Device]) -> list[Front]:
    """The main job for each device."""
    job.workspace.check_writable()
    evaluator = train(job)
    predictor = fit_accuracy(job, evaluator)
    job.console.say(predictor.quality.describe())
    fronts = []
    for device in devices:
        job.console.say(describe_table(job, measure(job, device)))
        search(job, device)
        fronts.append(verify(job, device, evaluator, again=job.fresh))
        report(job, device)
    return fronts
