"""What model files are fed with."""

import numpy


def array_of(feed, seed):
    """An input as a load request tells it: {name, dtype, shape, file with its bare numbers}."""
    if feed["file"] is None:
        return random_input(feed["shape"], feed["dtype"], seed)
    return numpy.fromfile(feed["file"], dtype=feed["dtype"]).reshape(feed["shape"])


def random_input(shape, dtype, seed):
    """Normal numbers, any 8-bit ones."""
    random = numpy.random.RandomState(seed)
    if dtype in ("int8", "uint8"):
        return random.randint(0, 256, shape).astype("uint8").view(dtype)
    return numpy.asarray(random.standard_normal(shape), dtype=dtype)
