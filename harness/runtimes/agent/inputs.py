"""What model files are fed with."""

import numpy

ANY_SIZE = ""  # of an input that takes any


def fed(request, inputs):
    """Arrays by the names of inputs, in their order: as a load request tells; without a word,
    random ones of these `inputs`, [name, dtype, shape]."""
    feeds = request.get("feeds")
    if feeds is None:
        keys = ("name", "dtype", "shape")
        feeds = [dict(zip(keys, given), file=None) for given in inputs]
    return {feed["name"]: array_of(feed, request["seed"]) for feed in feeds}


def array_of(feed, seed):
    """An input as a load request tells it: {name, dtype, shape, file with its bare numbers}."""
    if feed["file"] is None:
        return random_input(feed["shape"], feed["dtype"], seed)
    return numpy.fromfile(feed["file"], dtype=feed["dtype"]).reshape(feed["shape"])


def random_input(shape, dtype, seed):
    """Normal numbers, any 8-bit ones, zeros of what may be indices or truth values."""
    random = numpy.random.RandomState(seed)
    if dtype in ("int8", "uint8"):
        return random.randint(0, 256, shape).astype("uint8").view(dtype)
    if numpy.dtype(dtype).kind in "biu":
        return numpy.zeros(shape, dtype)
    return numpy.asarray(random.standard_normal(shape), dtype=dtype)
