"""Weights of int8 graphs, and where they stand in the graphs' files.

A graph that trainer/onnx_graphs.py has written can take other weights of the same model, without
the tools that wrote it: at their places in the file come other bytes, as many as before.

    places = json.loads(...)[ENCODER_FILE]
    data = with_weights(data, places, graph_weights(model)[ENCODER_FILE])
"""

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from latexocr.modeling import Downsample, RecognizerModel, ResidualBlock

ENCODER_FILE, STEP_FILE = "encoder.onnx", "step.onnx"
BLOCK_SIZE = 128  # weights of a row that share a scale

# By the tensor's name: the number of the first byte of each of its parts. Their names are of
# "plain", float32 as it is; or of a matrix "codes", "scales" and "zero_points"; or of an embedding
# "codes" and "scale"; or of a kernel "codes" and "scales", and of the bias beside it "bias" and
# "bias_scales". Two more are no places but numbers: an embedding's "zero_point", which stays, and a
# kernel's "input_scale", the step between the values that it meets.
Places = Mapping[str, Mapping[str, Any]]


def folded(model: RecognizerModel) -> RecognizerModel:
    """A copy on the CPU whose convolutions do the work of the norms behind them."""
    model = copy.deepcopy(model).cpu().float().eval()
    for module in model.modules():
        pairs = ()
        if isinstance(module, Downsample):
            pairs = (("conv", "norm"),)
        elif isinstance(module, ResidualBlock):
            pairs = (("conv1", "norm1"), ("conv2", "norm2"))
        for conv, norm in pairs:
            setattr(module, conv, fuse_conv_bn_eval(getattr(module, conv), getattr(module, norm)))
            setattr(module, norm, nn.Identity())
    return model


def projection(model: RecognizerModel) -> nn.Linear:
    """Cells (C) to keys and values (2 * layers * C) of the decoder's layers: one product of
    matrices in place of two for each layer."""
    looks = [layer.encoder_attn for layer in model.decoder.model.decoder.layers]
    linears = [linear for look in looks for linear in (look.k_proj, look.v_proj)]
    weight = torch.cat([linear.weight for linear in linears])
    found = nn.Linear(weight.shape[1], weight.shape[0])
    found.weight = nn.Parameter(weight.detach())
    found.bias = nn.Parameter(torch.cat([linear.bias for linear in linears]).detach())
    return found


def graph_weights(model: RecognizerModel) -> dict[str, dict[str, Tensor]]:
    """Weights of both graphs in float32, by the graph's file and the tensor's name in it."""
    model = folded(model)
    encoder = {f"encoder.{name}": value for name, value in model.encoder.state_dict().items()}
    project = {f"project.{name}": value for name, value in projection(model).state_dict().items()}
    step = {f"model.{name}": value for name, value in model.state_dict().items()}
    return {ENCODER_FILE: encoder | project, STEP_FILE: step}


def with_weights(data: bytes, places: Places, weights: Mapping[str, Tensor]) -> bytes:
    """A graph's file with other weights.

    Raises: KeyError, ValueError or TypeError if the places are not those of such weights."""
    changed = bytearray(data)
    for name, parts in places.items():
        for part, values in _parts(weights, name, parts).items():
            found = values.tobytes()
            start = int(parts[part])
            if not 0 <= start <= len(data) - len(found):
                raise ValueError(f"expected {len(found)} bytes at {start} of {len(data)}: {name}")
            changed[start : start + len(found)] = found
    return bytes(changed)


def _parts(
    weights: Mapping[str, Tensor], name: str, parts: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    weight = weights[name].numpy()
    if "plain" in parts:
        return {"plain": weight.astype(np.float32)}
    if "zero_points" in parts:
        return matrix_codes(weight)
    if "zero_point" in parts:
        return embedding_codes(weight, int(parts["zero_point"]))
    bias = weights[name.removesuffix("weight") + "bias"].numpy()
    return kernel_codes(weight, bias, float(parts["input_scale"]))


def matrix_codes(weight: np.ndarray) -> dict[str, np.ndarray]:
    """A matrix (N, K) for ONNX Runtime's MatMulNBits: codes (N, B, 128) uint8, with their scales
    (N, B) float32 and zero points (N, B) uint8; B blocks of 128, the last one filled up with 0."""
    missing = -weight.shape[1] % BLOCK_SIZE
    blocks = np.pad(weight, ((0, 0), (0, missing))).reshape(len(weight), -1, BLOCK_SIZE)
    low, high = np.minimum(blocks.min(2), 0), np.maximum(blocks.max(2), 0)
    scales = ((high - low) / 255).astype(np.float32)
    steps = np.where(scales == 0, 1, scales)
    zeros = np.clip(np.rint(-low / steps), 0, 255)
    codes = np.clip(np.rint(blocks / steps[:, :, None] + zeros[:, :, None]), 0, 255)
    codes.reshape(len(weight), -1)[:, weight.shape[1] :] = 0  # as the runtime's own tool does
    return {
        "codes": codes.astype(np.uint8),
        "scales": scales,
        "zero_points": zeros.astype(np.uint8),
    }


def embedding_codes(weight: np.ndarray, zero_point: int) -> dict[str, np.ndarray]:
    """An embedding (V, C) in codes of its shape, uint8, and the one scale (), float32, with which
    the code for 0 can stay and all values fit."""
    below, above = max(zero_point, 1), max(255 - zero_point, 1)
    scale = np.float32(max(-weight.min() / below, weight.max() / above) or 1)
    codes = np.clip(np.rint(weight / scale) + zero_point, 0, 255)
    return {"codes": codes.astype(np.uint8), "scale": scale}


def kernel_codes(weight: np.ndarray, bias: np.ndarray, input_scale: float) -> dict[str, np.ndarray]:
    """A kernel (C_out, C_in, h, w) for convolutions in int8: codes of its shape, int8, and a scale
    (C_out,) for each row; and the bias (C_out,) in codes, int32, with their scales."""
    scales = (np.abs(weight).max((1, 2, 3)) / 127).astype(np.float32)
    scales[scales == 0] = 1
    codes = np.clip(np.rint(weight / scales[:, None, None, None]), -127, 127)
    bias_scales = (input_scale * scales).astype(np.float32)
    return {
        "codes": codes.astype(np.int8),
        "scales": scales,
        "bias": np.rint(bias / bias_scales).astype(np.int32),
        "bias_scales": bias_scales,
    }
