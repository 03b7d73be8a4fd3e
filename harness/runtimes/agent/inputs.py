"""What model files are fed with."""

import numpy


def fixed_shape(name, shape, batch):
    """The input's shape; an open first size is the batch, other open sizes cannot be guessed."""
    sizes = [size if isinstance(size, int) and size > 0 else None for size in shape]
    if sizes and sizes[0] is None:
        sizes[0] = batch
    if None in sizes:
        raise ValueError(
            "input %r has no fixed shape: %s; export the model with fixed sizes" % (name, shape)
        )
    return sizes


def random_input(shape, dtype, seed):
    """Normal numbers, any 8-bit ones; zeros for longer integers, which may be indices."""
    random = numpy.random.RandomState(seed)
    if dtype in ("float16", "float32", "float64"):
        return numpy.asarray(random.randn(*shape), dtype=dtype)
    if dtype in ("int8", "uint8"):
        return random.randint(0, 256, shape).astype("uint8").view(dtype)
    return numpy.zeros(shape, dtype=dtype)
