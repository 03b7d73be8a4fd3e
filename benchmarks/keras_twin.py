"""A network of blocks written by hand in Keras, channels last, as a .tflite file.

What a conversion could be at best: `converters.py` runs this by the python of the environment of
onnx-tf, which has TensorFlow. It imports nothing of the project.

    python -I keras_twin.py BLOCKS.json MODEL.tflite
"""

import json
import sys
from pathlib import Path
from typing import Any

import tensorflow as tf  # type: ignore[import-untyped]

layers = tf.keras.layers


def act(name: str, x: Any) -> Any:
    if name == "h_swish":
        return x * tf.nn.relu6(x + 3) * (1 / 6)
    return {"none": tf.identity, "relu": tf.nn.relu, "relu6": tf.nn.relu6}[name](x)


def padded(x: Any, kernel: int, stride: int) -> tuple[Any, str]:
    """As torch pads; where the stride is 1, Keras' own padding is the same."""
    if stride == 1:
        return x, "same"
    return layers.ZeroPadding2D(kernel // 2)(x), "valid"


def conv(x: Any, channels: int, kernel: int, stride: int, name: str) -> Any:
    x, padding = padded(x, kernel, stride)
    x = layers.Conv2D(channels, kernel, stride, padding, use_bias=False)(x)
    return act(name, layers.BatchNormalization()(x))


def depthwise(x: Any, kernel: int, stride: int, name: str) -> Any:
    x, padding = padded(x, kernel, stride)
    x = layers.DepthwiseConv2D(kernel, stride, padding, use_bias=False)(x)
    return act(name, layers.BatchNormalization()(x))


def squeeze_excite(x: Any, squeezed: int) -> Any:
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Conv2D(squeezed, 1, activation="relu")(gate)
    gate = layers.Conv2D(x.shape[-1], 1)(gate)
    return x * (tf.nn.relu6(gate + 3) * (1 / 6))


def mbconv(x: Any, block: dict[str, Any]) -> Any:
    y = x
    if block["mid_channels"] != block["in_channels"]:
        y = conv(y, block["mid_channels"], 1, 1, block["act"])
    y = depthwise(y, block["kernel"], block["stride"], block["act"])
    if block["se_channels"]:
        y = squeeze_excite(y, block["se_channels"])
    y = conv(y, block["out_channels"], 1, 1, "none")
    return x + y if block["residual"] else y


def layer(x: Any, block: dict[str, Any]) -> Any:
    kind, out = block["kind"], block["out_channels"]
    if kind == "conv":
        y = conv(x, out, block["kernel"], block["stride"], block["act"])
        return x + y if block["residual"] else y
    if kind == "mbconv":
        return mbconv(x, block)
    if kind == "pool":
        return layers.GlobalAveragePooling2D(keepdims=True)(x)
    if kind == "mix":
        return act(block["act"], layers.Conv2D(out, 1, use_bias=False)(x))
    if kind == "linear":
        return layers.Dense(out)(layers.Flatten()(x))
    raise ValueError(f"no twin of {kind}")


def main(source: Path, target: Path) -> None:
    blocks = json.loads(source.read_text())
    first = blocks[0]
    images = tf.keras.Input((first["height"], first["width"], first["in_channels"]), batch_size=1)
    x = images
    for block in blocks:
        x = layer(x, block)
    converter = tf.lite.TFLiteConverter.from_keras_model(tf.keras.Model(images, x))
    target.write_bytes(converter.convert())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
