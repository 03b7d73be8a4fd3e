"""The specialised networks that the OFA authors published: latency and ImageNet top-1 by device.

As their names say (`note10_lat@22ms_top1@76.6_finetune@25`), in han-cai/files, ofa_specialized;
`harness fetch specialized:NAME` brings their weights. Latencies are of a whole batch.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class ReleasedNetwork:
    """One of them."""

    latency_ms: float
    top1: float  # percent
    epochs: int  # fine-tuned


_FRONTS = {
    ("galaxy-note10", "note10-published"): (
        *((8, 71.4, 25), (11, 73.6, 25), (16, 75.5, 25), (22, 76.6, 25)),
        *((30, 78.4, 75), (41, 79.3, 75), (50, 79.7, 75), (64, 80.2, 75)),
    ),
    ("galaxy-note8",): ((22, 70.4, 25), (31, 72.8, 25), (49, 74.9, 25), (65, 76.1, 25)),
    ("galaxy-s7-edge",): ((29, 70.5, 25), (41, 73.1, 25), (58, 74.7, 25), (88, 76.3, 25)),
    ("lg-g8",): ((8, 71.1, 25), (11, 73.0, 25), (16, 74.7, 25), (24, 76.4, 25)),
    ("pixel-1",): (
        *((20, 71.4, 25), (28, 73.3, 25), (40, 74.9, 25), (58, 76.9, 75)),
        *((79, 78.7, 75), (132, 79.8, 75), (143, 80.1, 75)),
    ),
    ("pixel-2",): ((25, 71.5, 25), (35, 73.4, 25), (50, 74.7, 25), (62, 75.8, 25)),
    ("xeon-e5-2690-v4",): ((10, 71.1, 25), (11, 72.0, 25), (15, 74.6, 25), (17, 75.7, 25)),
    ("gtx-1080ti-b64",): ((12, 72.6, 25), (15, 73.8, 25), (22, 75.3, 25), (27, 76.4, 25)),
    ("v100-b64",): ((5, 71.6, 25), (6, 73.0, 25), (9, 75.3, 25), (11, 76.1, 25)),
    ("jetson-tx2",): ((35, 70.3, 25), (47, 72.9, 25), (80, 75.4, 25), (96, 75.8, 25)),
}


def released_front(device: str) -> tuple[ReleasedNetwork, ...]:
    """Those of a device of our catalogue, or of its published table; the fastest first."""
    for names, networks in _FRONTS.items():
        if device in names:
            return tuple(ReleasedNetwork(*network) for network in networks)
    return ()
