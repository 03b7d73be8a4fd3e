"""The course of one block: when the engines that compute have come how far, and the load engine."""

from dataclasses import dataclass

from harness.runtimes.dpu.architecture import Dpu, Map


@dataclass
class Timeline:
    """Engines wait for what they need: a layer for its weights, its input and the layer before."""

    dpu: Dpu
    now: float = 0.0  # cycles: when the last layer was done
    loader_free: float = 0.0  # when the load engine was done with the last weights
    loaded_bytes: int = 0
    saved_bytes: int = 0

    def compute(self, cycles: float) -> None:
        self.now += cycles

    def load_weights(self, vectors: int, vector_bytes: int, since: float | None = None) -> None:
        """Wait until weights (and a bias each) are there; `since`: they were asked for then,
        while others still computed. By default they are asked for now."""
        start = self.now if since is None else max(since, self.loader_free)
        self.loader_free = start + self.dpu.weights(vectors, vector_bytes)
        self.now = max(self.now, self.loader_free)
        self.loaded_bytes += vectors * (vector_bytes + 1)

    def load(self, features: Map, times: int = 1, beside: float = 0.0) -> None:
        """Read a map from DDR; `beside`: cycles that engines compute meanwhile."""
        self.now += max(times * self.dpu.transfer(features.bytes), beside)
        self.loaded_bytes += times * features.bytes

    def save(self, features: Map, times: int = 1, *, hidden: bool = False) -> None:
        """Write a map to DDR; `hidden`: while engines compute."""
        self.now += 0 if hidden else times * self.dpu.transfer(features.bytes)
        self.saved_bytes += times * features.bytes
