"""Every error a user can cause or meet, each with its exit code.

The command line prints such an error as one line; the message says what went wrong, where, and
what to do about it. Anything else that escapes is a bug of ours.
"""

LONGEST = 1500  # characters of a message


class HarnessError(Exception):
    """Base of all expected errors."""

    exit_code = 1

    def __str__(self) -> str:
        """The message, cut where it holds what a file or device had too much of."""
        message = super().__str__()
        return message if len(message) <= LONGEST else f"{message[:LONGEST]}..."


class UsageError(HarnessError):
    """The command was asked for something that does not exist or makes no sense."""

    exit_code = 2


class FileFormatError(HarnessError):
    """A file that the user or an earlier run wrote cannot be read: broken, foreign or too new."""

    exit_code = 3


class ProfileError(FileFormatError):
    """A device profile (`devices/*.toml`) is missing or wrong."""


class RecipeError(FileFormatError):
    """A training recipe (`training/recipes/*.toml`, or a user's own) is missing or wrong."""


class TableError(FileFormatError):
    """A latency table is broken, or lacks what was asked of it."""


class CheckpointError(FileFormatError):
    """A supernet checkpoint or network file is broken or belongs to another space."""


class PredictorError(FileFormatError):
    """A source of accuracies cannot be used, or gives what is no number."""


class DeviceError(HarnessError):
    """The device cannot be used."""

    exit_code = 4


class DeviceBusy(DeviceError):
    """Another measurement, or another program, holds the device."""


class DeviceNotFound(DeviceError):
    """No device answers to the profile, or more than one does."""


class DeviceUnauthorized(DeviceError):
    """The device does not trust this computer yet."""


class DeviceOffline(DeviceError):
    """The device is attached but does not answer."""


class DeviceFull(DeviceError):
    """There is no room left on the device."""


class TargetLost(DeviceError):
    """The program on the device ended or the link to it broke."""


class TargetStalled(DeviceError):
    """The device stopped answering within the time-out."""


class TargetFailed(DeviceError):
    """The device answered that it could not do what it was asked."""


class Infeasible(DeviceError):
    """The device cannot run a block at all: a buffer is too small, or it lacks an operator."""


class ConversionFailed(DeviceError):
    """A network could not be made into the file that the device's runtime takes."""


class InfeasibleConstraint(HarnessError):
    """No network of the space meets the constraint."""

    exit_code = 5


class WorkspaceError(HarnessError):
    """A folder cannot be written, or a disk is full."""

    exit_code = 6


class MissingExtra(HarnessError):
    """An optional part is not installed."""

    exit_code = 7


class Regression(HarnessError):
    """A comparison that was asked to fail found something slower."""

    exit_code = 8


class TrainingDiverged(HarnessError):
    """The loss is no number any more."""

    exit_code = 9


class Interrupted(BaseException):
    """The user pressed Ctrl-C. Like KeyboardInterrupt, nothing on the way may catch it."""

    exit_code = 130
