"""Whether a table is still of the device as its profile describes it."""

from harness.device.profile import load_profile, profile_paths
from harness.errors import TableError
from harness.hints import command
from harness.pipeline.job import Run
from harness.tables.table import Table


def simulated_otherwise(table: Table) -> str:
    """What to say of a table that was simulated with other settings than its profile has."""
    todo = command("measure", "--device", table.device, "--space", table.space)
    return (
        f"the table of {table.device} for {table.space} was simulated with other settings than the "
        f"profile has now: {todo} makes it anew"
    )


def check_current(job: Run, table: Table) -> None:
    """Raises TableError where a simulated device's profile has changed since."""
    root = job.workspace.root
    if table.simulated is None or table.device not in profile_paths(root):
        return
    profile = load_profile(table.device, root)
    if table.identity.get(profile.runtime) != profile.runtime_settings.model_dump():
        raise TableError(simulated_otherwise(table))
