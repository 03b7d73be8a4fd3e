"""A space of eight networks, so that a whole table through a phone takes half a minute."""

from dataclasses import replace

from harness.spaces.digits import DIGITS

SMALL = replace(
    DIGITS,
    name="small",
    resolutions=(12,),
    depths=(1,),
    kernels=(3, 5),
    expands=(3,),
)
