"""The settings of a device that change its numbers."""

from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import ConfigDict, Field, SerializeAsAny

from harness.runtimes.model_inputs.asked import NOTHING_ASKED, Asked
from harness.schema import Section

Settings = TypeVar("Settings", bound=Section)


class SharedOptions(Section):
    """`[runtime_options]`: what every runtime has."""

    num_threads: Annotated[int, Field(ge=1, le=1024)] = 1
    cpus: Annotated[str, Field(pattern=r"^(any|one|big|little|0x0*[1-9a-fA-F][0-9a-fA-F]*)$")] = (
        "any"  # "one": the last we may use; "big", "little": a phone's; or a mask: "0x2"
    )
    precision: str = "float32"
    batch: Annotated[int, Field(ge=1, le=4096)] = 1
    converter: Literal["litert-torch", "onnx-tf"] = "litert-torch"  # of .tflite files


class RuntimeOptions(SharedOptions):
    """What a session is opened with."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    own: SerializeAsAny[Section] = Section()  # the runtime's, as under its name in a profile
    range_images: Path | None = None  # from which int8 ranges of network files are collected
    asked: Asked = NOTHING_ASKED  # what a model file is fed with

    def of(self, kind: type[Settings]) -> Settings:
        """The runtime's own settings; the usual ones where the profile has none."""
        return self.own if isinstance(self.own, kind) else kind()

    def here(self) -> Self:
        """The same for this computer, whose cores have other names."""
        return self.model_copy(update={"cpus": "any"})
