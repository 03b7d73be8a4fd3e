"""Predictions in words."""

from harness.pipeline.elsewhere import Elsewhere


def describe_elsewhere(found: Elsewhere) -> str:
    ends = found.latency_ms_interval
    interval = "" if ends is None else f" ({ends[0]:.4g} to {ends[1]:.4g}, 95 %)"
    return (
        f"{found.network} on {found.device}: {found.latency_ms:.4g} ms{interval}; {found.rests_on}"
    )
