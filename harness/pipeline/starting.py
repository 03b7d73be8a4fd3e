"""What a command, or a call from Python, works on: made from the names that users write."""

from dataclasses import replace
from pathlib import Path

from harness.deploy.front import Front
from harness.device.device import Device
from harness.device.profile import device_names, full_name
from harness.effort import EFFORTS, NORMAL, QUICK, Effort
from harness.errors import ProfileError, UsageError
from harness.hints import nearest
from harness.pipeline.job import Run
from harness.pipeline.notices import AccuracyNotCalled, Listener, Remark
from harness.pipeline.own_images import recorded, space_for, trained_before
from harness.pipeline.supernet_folder import Kept, Training
from harness.predictors.accuracy_source import is_function
from harness.spaces.catalogue import find_space, part_of
from harness.spaces.images import is_images
from harness.workspace import Workspace


def job_for(
    listener: Listener,
    space: str | None,
    root: Path,
    quick: bool = False,
    *,
    effort: str | None = None,
    fresh: bool = False,
    seed: int = 0,
    distill: float = 0.0,
    resolutions: str | None = None,
    accuracy: str | None = None,
    training: Training | None = None,
) -> Run:
    """A space, by its name or by the images that are to be trained on, and what is done with it.

    Raises:
        UsageError: there is no such space, or the settings do not fit together.
    """
    if space is None and training is not None and training.data is not None:
        found = space_for(training.data)
    else:
        found = find_space(space or "digits")
    chosen = part_of(found, resolutions)
    if is_images(chosen.name) and training is None and accuracy is None:
        training = trained_before(Workspace(root), chosen.name)
    if quick and training is not None and training.data is not None and not is_images(chosen.name):
        raise UsageError(
            "--quick is for digits and own images; --epochs-scale shortens a recipe in epochs"
        )
    if chosen.about_resolutions and training is None:  # who trains, trains at these
        listener.tell(Remark(chosen.about_resolutions))
    return Run(
        Workspace(root),
        chosen,
        listener,
        _effort(effort, quick),
        seed,
        fresh,
        accuracy,
        training or Training(distill=distill or None),
        space if space not in (None, chosen.name) else None,
    )


def _effort(name: str | None, quick: bool) -> Effort:
    if name is None:
        return QUICK if quick else NORMAL
    if quick:
        raise UsageError("--quick is --effort quick: give one of them")
    if name not in EFFORTS:
        raise UsageError(f"no effort {name!r}; {nearest(name, list(EFFORTS))}")
    return EFFORTS[name]


def job_of_front(listener: Listener, device: str, space: str, root: Path) -> Run:
    """The settings that made the front of the device."""
    family, workspace = find_space(space), Workspace(root)
    name = family.name
    settings = Front.load(workspace.front(device, name), family).settings
    quick = settings["effort"].get("name") == "quick"
    source = (settings.get("accuracy") or {}).get("source")
    pixels = settings.get("resolutions")  # older fronts do not tell: the whole space
    supernet = settings["supernet"]
    training = recorded(workspace, supernet) if supernet else None
    if training is None and supernet and is_images(name):  # what it was trained on is not here
        training = Training(kept=Kept(supernet))
    return job_for(
        listener,
        space,
        root,
        quick,
        seed=settings["seed"],
        distill=settings["distill"],
        resolutions=",".join(map(str, pixels)) if pixels else None,
        accuracy=source,
        training=training,
    )


def job_to_predict(
    listener: Listener, device: str, space: str, root: Path, accuracy: str | None
) -> Run:
    """With accuracies as asked for; else those that made the device's front, or what `harness run`
    trains. A function that a front names is called only by whoever names it again."""
    if accuracy is None and Workspace(root).front(device, find_space(space).name).exists():
        job = job_of_front(listener, device, space, root)
        if job.accuracy is None or not is_function(job.accuracy):
            return job
        listener.tell(AccuracyNotCalled(job.accuracy))
    return job_for(listener, space, root, accuracy=accuracy)


def found_there(device: str, space: str | None, root: Path) -> tuple[str, str]:
    """The full name of a device of the catalogue, or of one that only has a table, as imported; and
    the space that was asked for, else the only one that there is a table or front of.

    Raises:
        ProfileError: there is no such device; the nearest is named.
        UsageError: nobody says which of several spaces, or where the only one is.
    """
    name, there = full_name(device, root), Workspace(root)
    known = {*device_names(root), *there.devices()}
    if name not in known:
        raise ProfileError(f"no device called {device!r}; {nearest(device, sorted(known))}")
    spaces = there.spaces(name)
    if space is not None or not spaces or "digits" in spaces:
        return name, space or "digits"
    if len(spaces) > 1:
        raise UsageError(f"{name} has tables or fronts of {', '.join(spaces)}: --space says which")
    try:
        return name, find_space(spaces[0]).name
    except UsageError as error:
        raise UsageError(
            f"all that is there of {name} is of {spaces[0]}, a space of your own: say where it is "
            "by --space package.module:SPACE"
        ) from error


def devices_named(
    names: list[str],
    root: Path,
    benchmark_model: Path | None = None,
    range_images: Path | None = None,
    wait: bool = False,
) -> list[Device]:
    """Devices by their names, each once.

    Raises:
        UsageError: one has no profile, or is not of the kind that a setting is for.
    """
    imported = set(Workspace(root).devices()) - set(device_names(root))
    for name in names:
        if name in imported:
            raise UsageError(
                f"{name} has an imported table and no profile: it can be searched and reported, "
                "and nothing can be run on it from here"
            )
    found = [Device.find(name, root) for name in names]
    chosen = {device.name: device for device in found}
    for device in chosen.values():
        if benchmark_model and device.profile.runtime != "benchmark_model":
            raise UsageError(f"--benchmark-model is for phones, {device.name} is none")
    eight = [each.options.precision == "int8" for each in chosen.values()]
    if range_images and not any(eight):
        raise UsageError(f"--images is for int8, and {', '.join(chosen)} is not")
    for path in (range_images, benchmark_model):
        if path and not path.exists():
            raise UsageError(f"there is no {path}")
    return [
        replace(
            device,
            benchmark_model=benchmark_model,
            range_images=range_images if is_eight else None,
            waits=wait,
        )
        for device, is_eight in zip(chosen.values(), eight, strict=True)
    ]
