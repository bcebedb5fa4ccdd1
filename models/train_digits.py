"""Train the example networks on scikit-learn's digits and export them as QONNX and ONNX.

Run `python models/train_digits.py --help`; `models/README.md` is the model card. The script writes

* `digits_mlp_w2a2.onnx` and `digits_cnn_w4a4.onnx`, the quantised networks,
* `digits_mlp_float.onnx`, a network that is not quantised,
* `digits_heldout.npz`, the images and labels that were held out of training,
* `digits_calibration.npz`, some of the images that were trained on, to calibrate quantisers with,
* `digits_accuracy.json`, the top-1 accuracy of each exported file on those images.

Two runs on one machine write the same bytes. The packages are in `models/requirements-train.txt`.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import random
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import torch
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.util.cleanup import cleanup_model
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Brevitas misses an optional package that is of no use here
    import brevitas
    from brevitas.core.scaling import ScalingImplType
    from brevitas.export import export_qonnx
    from brevitas.inject import value
    from brevitas.nn import QuantConv2d, QuantIdentity, QuantLinear, QuantReLU
    from brevitas.quant import Int8WeightPerTensorFloat, Uint8ActPerTensorFloat

SEED = 2024
HELD_OUT_IMAGES = 450
CALIBRATION_IMAGES = 200
CLASSES = 10
INPUT_BITS = 5
"""Bits of the input quantiser: pixels are the integers 0 to 16."""
OPSET = 13
BATCH_SIZE = 32


# Brevitas fills the parameter of these two by its name.
def largest_unsigned(bit_width: int) -> float:
    """Return the largest unsigned integer of so many bits."""
    return 2.0**bit_width - 1.0


def largest_weight(bit_width: int) -> float:
    """Return the largest weight of so many bits; narrow range: the smallest is its negative."""
    return 2.0 ** (bit_width - 1) - 1.0


class IntegerActQuant(Uint8ActPerTensorFloat):
    """Unsigned activations with the constant scale 1, so that the value is its own integer."""

    scaling_impl_type = ScalingImplType.CONST
    min_val = 0.0
    max_val = value(largest_unsigned)


class IntegerWeightQuant(Int8WeightPerTensorFloat):
    """Signed, narrow-range weights with the constant scale 1, so that a weight is its own integer."""

    scaling_impl_type = ScalingImplType.CONST
    scaling_const = value(largest_weight)


def input_quantiser() -> nn.Module:
    """Return the identity on pixels 0 to 16 that tells FINN that they are integers."""
    return QuantIdentity(act_quant=IntegerActQuant, bit_width=INPUT_BITS)


def integer_activation(bits: int) -> nn.Module:
    """Return the activation before the head; a constant scale costs nothing after a batch norm."""
    return QuantReLU(act_quant=IntegerActQuant, bit_width=bits)


def integer_head(features: int, bits: int) -> nn.Module:
    """Return the classifier, `[1, features]` to `[1, 10]`: integers out, no bias and no float scale.

    A positive scale common to all classes does not change which is the largest, so none is kept.
    """
    head = QuantLinear(features, CLASSES, bias=False, weight_quant=IntegerWeightQuant, weight_bit_width=bits)
    nn.init.uniform_(head.weight, -largest_weight(bits), largest_weight(bits))
    return head


def build_mlp(bits: int) -> nn.Sequential:
    """Return the quantised 64-64-32-10 perceptron; input `[1, 64]`, output `[1, 10]`."""
    return nn.Sequential(
        input_quantiser(),
        QuantLinear(64, 64, bias=False, weight_bit_width=bits),
        nn.BatchNorm1d(64),
        QuantReLU(bit_width=bits),
        QuantLinear(64, 32, bias=False, weight_bit_width=bits),
        nn.BatchNorm1d(32),
        integer_activation(bits),
        integer_head(32, bits),
    )


def build_cnn(bits: int) -> nn.Sequential:
    """Return the convolutional network; input `[1, 1, 8, 8]`, output `[1, 10]`.

    The feature maps are 6x6, 3x3 after the max-pool and 1x1 after the second convolution: at 1x1 the order
    of channels and pixels no longer matters, so FINN needs no transposition before the head.
    """
    return nn.Sequential(
        input_quantiser(),
        QuantConv2d(1, 16, kernel_size=3, bias=False, weight_bit_width=bits),
        nn.BatchNorm2d(16),
        QuantReLU(bit_width=bits),
        nn.MaxPool2d(2),
        QuantConv2d(16, 32, kernel_size=3, bias=False, weight_bit_width=bits),
        nn.BatchNorm2d(32),
        integer_activation(bits),
        nn.Flatten(),
        integer_head(32, bits),
    )


def build_float_mlp() -> nn.Sequential:
    """Return the 64-64-32-10 perceptron in floating point; input `[1, 64]`, output `[1, 10]`."""
    return nn.Sequential(
        nn.Linear(64, 64, bias=False),
        nn.BatchNorm1d(64),
        nn.ReLU(),
        nn.Linear(64, 32, bias=False),
        nn.BatchNorm1d(32),
        nn.ReLU(),
        nn.Linear(32, CLASSES),
    )


@dataclass(frozen=True)
class Network:
    """One example network: how to build and how to train it."""

    name: str
    build: Callable[[], nn.Sequential]
    input_shape: tuple[int, ...]
    epochs: int
    learning_rate: float
    temperature: float
    """What the logits are multiplied with for the loss, at first: it is trained, too."""
    quantised: bool = True

    @property
    def file_name(self) -> str:
        """Name of the exported file."""
        return f"{self.name}.onnx"


NETWORKS = {
    "mlp": Network("digits_mlp_w2a2", partial(build_mlp, 2), (1, 64), 120, 0.01, temperature=0.1),
    "cnn": Network("digits_cnn_w4a4", partial(build_cnn, 4), (1, 1, 8, 8), 120, 0.01, temperature=0.1),
    "mlp_float": Network(
        "digits_mlp_float", build_float_mlp, (1, 64), 40, 0.01, temperature=1.0, quantised=False
    ),
}


@dataclass(frozen=True)
class Digits:
    """The fixed split: images uint8 `[N, 8, 8]` with values 0 to 16, labels uint8 `[N]`."""

    train_images: np.ndarray
    train_labels: np.ndarray
    heldout_images: np.ndarray
    heldout_labels: np.ndarray


def load_split() -> Digits:
    """Return the digits, split once and for all, with the classes in equal shares."""
    data = load_digits()
    train_images, heldout_images, train_labels, heldout_labels = train_test_split(
        data.images.astype(np.uint8),
        data.target.astype(np.uint8),
        test_size=HELD_OUT_IMAGES,
        random_state=SEED,
        stratify=data.target,
    )
    return Digits(train_images, train_labels, heldout_images, heldout_labels)


def make_deterministic() -> None:
    """Fix every seed and allow one thread and deterministic kernels only."""
    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)


def to_batch(images: np.ndarray, input_shape: tuple[int, ...]) -> Tensor:
    """Return uint8 images `[N, 8, 8]` as float32 `[N, *input_shape[1:]]`, the values unchanged."""
    return torch.from_numpy(images.astype(np.float32)).reshape(len(images), *input_shape[1:])


def train(network: Network, digits: Digits) -> nn.Sequential:
    """Train a network with Adam and a cosine schedule, and return it in evaluation mode.

    The held-out images are not looked at: the last epoch is the result.
    """
    make_deterministic()
    model = network.build()
    # A quantised head's logits are large integers; this divides them for the loss alone and is not exported.
    temperature = nn.Parameter(torch.tensor(network.temperature))
    optimiser = torch.optim.Adam([*model.parameters(), temperature], lr=network.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, network.epochs)
    images = to_batch(digits.train_images, network.input_shape)
    labels = torch.from_numpy(digits.train_labels.astype(np.int64))
    for epoch in range(1, network.epochs + 1):
        loss = train_epoch(model, temperature, optimiser, images, labels)
        schedule.step()
        if epoch % 20 == 0 or epoch == network.epochs:
            print(f"{network.name}: epoch {epoch}/{network.epochs}, training loss {loss:.4f}", flush=True)
    return model.eval()


def train_epoch(
    model: nn.Module, temperature: Tensor, optimiser: torch.optim.Optimizer, images: Tensor, labels: Tensor
) -> float:
    """Show every training image once, in random order; return the mean loss."""
    model.train()
    losses = []
    # The last batch would hold a few images only, too few for a batch norm: it is dropped.
    batches = torch.randperm(len(images)).split(BATCH_SIZE)[: len(images) // BATCH_SIZE]
    for batch in batches:
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(model(images[batch]) * temperature, labels[batch])
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return float(np.mean(losses))


def export(model: nn.Module, network: Network) -> ModelWrapper:
    """Return the trained network as tidied ONNX, with nothing in it that varies between exports."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the TorchScript exporter, which QONNX export needs
        proto = export_quantised(model, network) if network.quantised else export_float(model, network)
    wrapper = cleanup_model(ModelWrapper(proto))
    if network.quantised:
        # With the pixels known to be bytes, FINN maps the input quantiser to integer hardware.
        wrapper.set_tensor_datatype(wrapper.graph.input[0].name, DataType["UINT8"])
        wrapper.model.producer_name = "brevitas"
        wrapper.model.producer_version = brevitas.__version__
    strip_metadata(wrapper.model)
    wrapper.graph.name = network.name
    return wrapper


def export_quantised(model: nn.Module, network: Network) -> onnx.ModelProto:
    """Return the network as QONNX, its quantisers as `Quant` nodes."""
    return export_qonnx(model, args=torch.zeros(network.input_shape), opset_version=OPSET, dynamo=False)


def export_float(model: nn.Module, network: Network) -> onnx.ModelProto:
    """Return the network as plain ONNX."""
    stream = io.BytesIO()
    torch.onnx.export(model, torch.zeros(network.input_shape), stream, opset_version=OPSET, dynamo=False)
    return onnx.load_model_from_string(stream.getvalue())


def strip_metadata(proto: onnx.ModelProto) -> None:
    """Drop documentation strings and metadata in place: exporters put stack traces and paths there."""
    graph = proto.graph
    tensors = [*graph.initializer, *graph.input, *graph.output, *graph.value_info]
    for message in [proto, graph, *graph.node, *tensors]:
        message.ClearField("doc_string")
        message.ClearField("metadata_props")


def predict_torch(model: nn.Module, images: np.ndarray, network: Network) -> np.ndarray:
    """Return the class of each image `[N, 8, 8]` as int64 `[N]`, from the trained network."""
    with torch.no_grad():
        return model(to_batch(images, network.input_shape)).argmax(dim=1).numpy()


def predict_qonnx(wrapper: ModelWrapper, images: np.ndarray, network: Network) -> np.ndarray:
    """Return the class of each image `[N, 8, 8]` as int64 `[N]`, from the file, one image at a time."""
    input_name, output_name = wrapper.graph.input[0].name, wrapper.graph.output[0].name
    inputs = images.astype(np.float32).reshape(-1, *network.input_shape)
    outputs = [execute_onnx(wrapper, {input_name: x})[output_name] for x in inputs]
    return np.concatenate(outputs).argmax(axis=1)


def measure(model: nn.Module, path: Path, network: Network, digits: Digits) -> dict[str, object]:
    """Return the held-out accuracy of the exported file; raise if it is not the trained network's.

    Raises:
        RuntimeError: the file and the trained network disagree on an image.
    """
    images, labels = digits.heldout_images, digits.heldout_labels
    predicted = predict_qonnx(ModelWrapper(str(path)), images, network)
    differing = int(np.sum(predicted != predict_torch(model, images, network)))
    if differing:
        raise RuntimeError(f"{path.name} and the trained network disagree on {differing} held-out images")
    correct = int(np.sum(predicted == labels))
    return {
        "top1": round(correct / len(labels), 6),
        "correct": correct,
        "images": len(labels),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def make_network(network: Network, digits: Digits, out: Path) -> dict[str, object]:
    """Train, export and measure one network; return its record for `digits_accuracy.json`."""
    model = train(network, digits)
    path = out / network.file_name
    path.write_bytes(export(model, network).model.SerializeToString(deterministic=True))
    record = measure(model, path, network, digits)
    print(f"{path.name}: {record['correct']} of {record['images']} held-out images, top-1 {record['top1']}")
    return record


def write_accuracy(path: Path, records: dict[str, dict[str, object]]) -> None:
    """Write the records, by model file name; those of networks not made this time are kept."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps(known | records, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def parse_arguments() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description="Train the digits example networks; export them as QONNX.")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(__file__).parent,
        metavar="DIR",
        help="folder to write to (default: the folder of this script)",
    )
    parser.add_argument(
        "--network", choices=[*NETWORKS, "all"], default="all", help="which network to make (default: all)"
    )
    return parser.parse_args()


def main() -> None:
    """Make the networks that the command line asks for."""
    arguments = parse_arguments()
    chosen = NETWORKS if arguments.network == "all" else {arguments.network: NETWORKS[arguments.network]}
    digits = load_split()
    arguments.out.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        arguments.out / "digits_heldout.npz", images=digits.heldout_images, labels=digits.heldout_labels
    )
    np.savez_compressed(
        arguments.out / "digits_calibration.npz", images=digits.train_images[:CALIBRATION_IMAGES]
    )
    records = {n.file_name: make_network(n, digits, arguments.out) for n in chosen.values()}
    write_accuracy(arguments.out / "digits_accuracy.json", records)


if __name__ == "__main__":
    main()
