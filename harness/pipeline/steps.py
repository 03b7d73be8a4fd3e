"""`harness run`: train, evaluate, measure, search, verify, report.

Each step returns at once with what is there where it is done already, and goes on where it was
stopped.
"""

from harness.deploy.front import Front
from harness.device.device import Device
from harness.pipeline.baselines import measure_baselines
from harness.pipeline.first_look import first_look, has_blocks, table_state
from harness.pipeline.front import verify
from harness.pipeline.job import Run
from harness.pipeline.kernels import measure_kernels
from harness.pipeline.notices import Remark
from harness.pipeline.question import Question, limits_asked
from harness.pipeline.refresh import refresh
from harness.pipeline.report import report, report_devices
from harness.pipeline.search import search, search_best
from harness.pipeline.side_by_side import on_each
from harness.pipeline.supernet import fit_accuracy, train
from harness.pipeline.table import measure, refit
from harness.predictors.accuracy_source import accuracy_source
from harness.tables.table import Table

__all__ = [
    "Question",
    "Run",
    "fit_accuracy",
    "limits_asked",
    "measure",
    "measure_baselines",
    "measure_kernels",
    "on_each",
    "refit",
    "refresh",
    "report",
    "report_devices",
    "run",
    "search",
    "search_best",
    "table_state",
    "train",
    "verify",
]


def run(job: Run, devices: list[Device], question: Question | None = None) -> list[Front]:
    """The main job for each device; `question`: what is asked besides its latency."""
    job.workspace.check_writable()
    evaluator = None
    if job.training.data is not None:
        job.supernet.check_classes()
    if job.accuracy is None:
        evaluator = train(job)
        job.listener.tell(Remark(fit_accuracy(job, evaluator).describe()))
    else:
        job.listener.tell(Remark(accuracy_source(job.accuracy, job.space).describe()))
    fronts = []
    tables = on_each(devices, lambda device: _measured(job, device))
    for device, table in zip(devices, tables, strict=True):
        job.listener.tell(table_state(job, table))
        search(job, device.name, question)
        fronts.append(verify(job, device, evaluator, again=job.fresh))
        report(job, device.name)
    if len(fronts) > 1:
        report_devices({device.name: job for device in devices})
    if job.training.data is not None and job.supernet.images.damaged:  # also those of the test
        job.listener.tell(Remark(job.supernet.images.damage))
    return fronts


def _measured(job: Run, device: Device) -> Table:
    """A latency table, or the few networks that suffice for a first look."""
    quick = job.effort.first_look and not device.profile.simulated
    if quick and not has_blocks(job, device):
        return first_look(job, device)
    return measure(job, device)
