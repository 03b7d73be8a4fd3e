"""A space of sixteen networks, so that a whole table through a phone takes a minute."""

from dataclasses import replace

from harness.spaces.digits import DIGITS

SMALL = replace(
    DIGITS,
    name="small",
    resolutions=(12,),
    stages=DIGITS.stages[:2],
    depths=(1,),
    kernels=(3, 5),
    expands=(3, 4),
)
