"""What stays the same over all steps of a run."""

from dataclasses import dataclass, replace
from functools import cached_property

from harness.effort import Effort
from harness.pipeline.notices import Listener
from harness.pipeline.supernet_folder import DIGITS_ALONE, SupernetFolder, Training
from harness.spaces.space import Space
from harness.workspace import Workspace


@dataclass(frozen=True)
class Run:
    """A space, how much work is put into it, and where it is kept."""

    workspace: Workspace
    space: Space
    listener: Listener
    effort: Effort
    seed: int = 0
    fresh: bool = False
    accuracy: str | None = None  # where accuracies come from; None: a supernet trained here
    training: Training = DIGITS_ALONE
    space_text: str | None = None  # how the space was asked for, where that is not its name

    @cached_property
    def supernet(self) -> SupernetFolder:
        """The supernet that is, or would be, trained for the space."""
        own = ":" in (self.space_text or "")
        return SupernetFolder(
            self.workspace, self.space, self.effort.training_steps, self.seed, self.training, own
        )

    @property
    def supernet_name(self) -> str | None:
        """Of its folder; None where nothing is trained."""
        return None if self.accuracy else self.supernet.path.name

    def on_images(self) -> "Run":
        """The same for a supernet with as many classes as the folder of images has.

        Raises:
            UsageError: the space's name says another number of classes.
        """
        supernet = self.supernet.on_images()
        job = replace(self, space=supernet.space)
        vars(job)["supernet"] = supernet  # its images are listed once
        return job
