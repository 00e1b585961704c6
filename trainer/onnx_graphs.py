"""A recogniser as two ONNX graphs, with weights and most of the work in eight bits.

    write_graphs(model, folder)                     # float32
    quantize_graphs(source, target, pictures)       # int8; the pictures tell ranges of values

encoder.onnx takes one picture to the keys and values that the decoder's layers look at, step.onnx
one token to the next, with those of all tokens before it. latexocr/quantized.py runs them.
"""

import logging
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers.models.trocr.modeling_trocr import TrOCRAttention

from latexocr.graph_weights import (
    BLOCK_SIZE,
    ENCODER_FILE,
    STEP_FILE,
    Places,
    folded,
    graph_weights,
    projection,
)
from latexocr.modeling import COARSE_STRIDE, STRIDE, RecognizerModel
from latexocr.recognizer import stack_pictures
from latexocr.stepping import GUIDED_LAYERS

# Longest sides and sequences that the exporter may reckon with; none of them is checked later.
MAX_STRIDES, MAX_ROWS, MAX_CELLS = 4096, 65_536, 4_194_304
# So many convolutions at the picture's end stay in float32: their work is small, and rounding what
# they see of faint pencil and paper cost three points on photos.
FLOAT_CONVOLUTIONS = 2
INT8_PRODUCTS = 4  # the runtime's number for multiplying in int8 rather than in float


class EncoderGraph(nn.Module):
    """The encoder, and the projections of its cells for the decoder's layers."""

    def __init__(self, model: RecognizerModel) -> None:
        super().__init__()
        self.encoder = model.encoder
        self.project = projection(model)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """(1, 1, H, W) -> (1, H/8, W/8, 2 * layers * C)."""
        rows, columns = (side // STRIDE for side in pixel_values.shape[2:])
        cells = self.encoder(pixel_values).last_hidden_state
        return self.project(cells).unflatten(1, (rows, columns))


class StepGraph(nn.Module):
    """The decoder, of L more tokens for each of K candidates of P pictures.

    Its layers are spelled out: keys and values come and go as plain tensors, one pair for each
    layer, with no cache object and no branches. The candidates of a picture look at the same cells
    together, as in stepping.DecoderSteps."""

    def __init__(self, model: RecognizerModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        tokens: Tensor,
        places: Tensor,
        cells: Tensor,
        keys: list[Tensor],
        values: list[Tensor],
        cross_keys: list[Tensor],
        cross_values: list[Tensor],
    ) -> tuple[Tensor, list[Tensor], list[Tensor], list[Tensor]]:
        """Args: tokens (P, K, L) int64; places (P, K, L, 2); cells (P, N) bool, True where a
            picture has them; for each layer keys and values (P, K, heads, T, C / heads) of the T
            tokens before, cross_keys (P, heads, C / heads, N) and cross_values
            (P, heads, N, C / heads) of the cells.
        Returns: logits (P, K, L, V); keys and values with those of these tokens,
            (P, K, heads, T + L, C / heads) for each layer; attention (P, K, heads, L, N) of the
            guided layers."""
        decoder = self.model.decoder.model.decoder
        n_each, n_new, n_before = tokens.shape[1], tokens.shape[2], keys[0].shape[3]
        x = self.model.embedded(tokens, places)  # (P, K, L, C)
        x = x + decoder.embed_positions(tokens[:1, 0], cache_length=n_before)
        x = decoder.layernorm_embedding(x)
        hidden = torch.where(cells, 0.0, -1e9)[:, None, None]  # (P, 1, 1, N)
        newest = n_before + torch.arange(n_new)[:, None]
        later = torch.where(torch.arange(n_before + n_new) > newest, -1e9, 0.0)  # (L, T + L)
        all_keys, all_values, attentions = [], [], []
        for i, layer in enumerate(decoder.layers):
            own = layer.self_attn
            all_keys.append(torch.cat([keys[i], split(own.k_proj(x), own)], 3))
            all_values.append(torch.cat([values[i], split(own.v_proj(x), own)], 3))
            query = split(own.q_proj(x) * own.scaling, own)  # (P, K, heads, L, C / heads)
            weights = (query @ all_keys[i].transpose(3, 4) + later).softmax(dim=-1)
            mixed = (weights @ all_values[i]).transpose(2, 3).flatten(3)
            x = layer.self_attn_layer_norm(x + own.out_proj(mixed))
            look = layer.encoder_attn
            query = split(look.q_proj(x) * look.scaling, look).transpose(1, 2).flatten(2, 3)
            weights = (query @ cross_keys[i] + hidden).softmax(dim=-1)  # (P, heads, K * L, N)
            attentions.append(weights.unflatten(2, (n_each, n_new)).transpose(1, 2))
            mixed = (weights @ cross_values[i]).unflatten(2, (n_each, n_new))
            mixed = mixed.permute(0, 2, 3, 1, 4).flatten(3)
            x = layer.encoder_attn_layer_norm(x + look.out_proj(mixed))
            x = layer.final_layer_norm(x + layer.fc2(layer.activation_fn(layer.fc1(x))))
        logits = self.model.decoder.output_projection(x)
        return logits, all_keys, all_values, attentions[-GUIDED_LAYERS:]


def split(x: Tensor, attention: TrOCRAttention) -> Tensor:
    """(P, K, L, C) -> (P, K, heads, L, C / heads)."""
    return x.unflatten(3, (attention.num_heads, attention.head_dim)).transpose(2, 3)


# --- Writing -----------------------------------------------------------------------------------


def write_graphs(model: RecognizerModel, folder: Path) -> None:
    """Both graphs in float32. Needs onnx and onnxscript."""
    model = folded(model)
    _write_encoder(EncoderGraph(model).eval(), folder / ENCODER_FILE)
    _write_step(StepGraph(model).eval(), model, folder / STEP_FILE)


def _write_encoder(graph: EncoderGraph, path: Path) -> None:
    rows, columns = (torch.export.Dim(name, min=1, max=MAX_STRIDES) for name in ("rows", "columns"))
    sides = {2: COARSE_STRIDE * rows, 3: COARSE_STRIDE * columns}
    _export(graph, (torch.rand(1, 1, 48, 96),), path, ["pixel_values"], ["memory"], (sides,))


def _write_step(graph: StepGraph, model: RecognizerModel, path: Path) -> None:
    decoder = model.config.decoder
    n_layers, heads = decoder.decoder_layers, decoder.decoder_attention_heads
    width = decoder.hidden_size // heads
    # Lengths differ and no tensor comes twice: equal ones would be taken for the same input.
    n_pictures, n_each, n_new, n_before, n_cells = 2, 4, 6, 3, 5
    past = [
        [torch.rand(n_pictures, n_each, heads, n_before, width) for _ in range(n_layers)]
        for _ in range(2)
    ]
    cross_keys = [torch.rand(n_pictures, heads, width, n_cells) for _ in range(n_layers)]
    cross_values = [torch.rand(n_pictures, heads, n_cells, width) for _ in range(n_layers)]
    tokens = torch.arange(n_pictures * n_each * n_new).view(n_pictures, n_each, n_new)
    places = torch.rand(n_pictures, n_each, n_new, 2)
    seen = torch.ones(n_pictures, n_cells, dtype=torch.bool)
    p = torch.export.Dim("n_pictures", min=1, max=MAX_ROWS)
    k = torch.export.Dim("n_each", min=1, max=MAX_ROWS)
    new = torch.export.Dim("n_new", min=1, max=decoder.max_position_embeddings)
    t = torch.export.Dim("n_before", min=0, max=decoder.max_position_embeddings - 1)
    n = torch.export.Dim("n_cells", min=1, max=MAX_CELLS)
    layers = range(n_layers)
    groups = ("keys", "values", "cross_keys", "cross_values")
    n_guided = min(GUIDED_LAYERS, n_layers)
    _export(
        graph,
        (tokens, places, seen, *past, cross_keys, cross_values),
        path,
        ["tokens", "places", "cells", *(f"{group}_{i}" for group in groups for i in layers)],
        [
            "logits",
            *(f"{group}_{i}" for group in ("all_keys", "all_values") for i in layers),
            *(f"attention_{i}" for i in range(n_guided)),
        ],
        (
            *({0: p, 1: k, 2: new}, {0: p, 1: k, 2: new}, {0: p, 1: n}),
            *([{0: p, 1: k, 3: t}] * n_layers, [{0: p, 1: k, 3: t}] * n_layers),
            *([{0: p, 3: n}] * n_layers, [{0: p, 2: n}] * n_layers),
        ),
    )


def _export(
    graph: nn.Module,
    example: tuple,
    path: Path,
    inputs: list[str],
    outputs: list[str],
    dynamic_shapes: tuple,
) -> None:
    for name in ("torch.onnx", "onnxscript", "onnx_ir"):  # they tell every step
        logging.getLogger(name).setLevel(logging.ERROR)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # each time two inputs have a length in common
        torch.onnx.export(
            graph,
            example,
            path,
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=dynamic_shapes,
            external_data=False,
            verbose=False,
        )
    _strip(path)


def _strip(path: Path) -> None:
    """Takes out what the exporter tells about each node: it is larger than a small model's weights,
    and names the files of the machine it was made on."""
    import onnx

    model = onnx.load(path)
    graph = model.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    graph.ClearField("value_info")
    onnx.save(model, path)


# --- Eight bits --------------------------------------------------------------------------------


class _Pictures:
    """Prepared pictures as ONNX Runtime's calibration asks for them, one by one."""

    def __init__(self, pictures: Iterable[np.ndarray]) -> None:
        self.pictures: Iterator[np.ndarray] = iter(pictures)

    def get_next(self) -> dict[str, np.ndarray] | None:
        picture = next(self.pictures, None)
        if picture is None:
            return None
        return {"pixel_values": stack_pictures([picture])[0].numpy()}


def quantize_graphs(source: Path, target: Path, pictures: Sequence[np.ndarray]) -> None:
    """Eight-bit graphs of float32 ones. Needs onnx and onnxruntime.

    Convolutions compute with ranges of values that are fixed here, by the pictures, (h, w) uint8 as
    imaging.prepare makes them; products of matrices find a range for each row as they go."""
    with _silence():
        between = target / "between.onnx"
        _quantize_convolutions(source / ENCODER_FILE, between, pictures)
        _quantize_products(between, target / ENCODER_FILE)
        between.unlink()
        _quantize_products(source / STEP_FILE, target / STEP_FILE)
        _quantize_embeddings(target / STEP_FILE)


@contextmanager
def _silence() -> Iterator[None]:
    """ONNX Runtime advises preprocessing at every call; what that would do is done here, by folding
    and by the exporter."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _quantize_convolutions(source: Path, target: Path, pictures: Sequence[np.ndarray]) -> None:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_static

    names = [node.name for node in onnx.load(source).graph.node if node.op_type == "Conv"]
    quantize_static(
        source,
        target,
        _Pictures(pictures),
        op_types_to_quantize=["Conv"],
        nodes_to_exclude=names[:FLOAT_CONVOLUTIONS],
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


def _quantize_products(source: Path, target: Path) -> None:
    """Not by quantize_dynamic, which has one range for all rows of a batch: what is read on a
    picture would then depend on its neighbours."""
    import onnx
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    quantizer = MatMulNBitsQuantizer(
        onnx.load(source), bits=8, block_size=BLOCK_SIZE, accuracy_level=INT8_PRODUCTS
    )
    quantizer.process()
    onnx.save(quantizer.model.model, target)


def _quantize_embeddings(path: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(path, path, op_types_to_quantize=["Gather"], weight_type=QuantType.QUInt8)


# --- Where the weights stand -------------------------------------------------------------------


def find_places(model: RecognizerModel, folder: Path) -> dict[str, Places]:
    """Where the int8 graphs of a folder have the weights of the model that they were made of, by
    the graph's file. Needs onnx."""
    weights = graph_weights(model)
    return {
        name: _places(folder / name, {key: value.numpy() for key, value in of_graph.items()})
        for name, of_graph in weights.items()
    }


def _places(path: Path, weights: dict[str, np.ndarray]) -> Places:
    import onnx
    from onnx.numpy_helper import to_array

    graph, at = onnx.load(path).graph, _contents(path.read_bytes())
    arrays = {tensor.name: to_array(tensor) for tensor in graph.initializer}
    places: dict[str, dict[str, float]] = {}
    for name in weights:
        codes = arrays.get(f"{name}_quantized")
        if name in arrays:
            places[name] = {"plain": at[name]}
        elif codes is not None and codes.ndim == 4:
            bias, scale = f"{name.removesuffix('weight')}bias_quantized", f"{name}_scale"
            parts = {"codes": f"{name}_quantized", "scales": scale, "bias": bias}
            parts["bias_scales"] = f"{bias}_scale"
            places[name] = {part: at[own] for part, own in parts.items()}
            places[name]["input_scale"] = float(arrays[f"{bias}_scale"][0] / arrays[scale][0])
        elif codes is not None and codes.ndim == 2:
            parts = {"codes": f"{name}_quantized", "scale": f"{name}_scale"}
            places[name] = {part: at[own] for part, own in parts.items()}
            places[name]["zero_point"] = int(arrays[f"{name}_zero_point"])
    # The exporter gives matrices names of its own.
    matrices = {name: weight for name, weight in weights.items() if weight.ndim == 2}
    for node in graph.node:
        if node.op_type == "MatMulNBits":
            own = node.input[1:4]
            codes, scales, zeros = (arrays[name] for name in own)
            blocks = (codes.astype(np.float32) - zeros[:, :, None]) * scales[:, :, None]
            found = blocks.reshape(len(codes), -1)
            distances = {name: _distance(matrix, found) for name, matrix in matrices.items()}
            name = min(distances, key=distances.__getitem__)
            parts = zip(("codes", "scales", "zero_points"), own, strict=True)
            places[name] = {part: at[of] for part, of in parts}
    return places


def _contents(data: bytes) -> dict[str, int]:
    """The first byte of the numbers of each initializer in an ONNX file. Source: onnx.proto, where
    a model's graph is field 7, a graph's initializer 5, and of a tensor float_data 4, name 8 and
    raw_data 9."""
    found = {}
    for number, start, end in _fields(data, 0, len(data)):
        if number != 7:
            continue
        for number_, start_, end_ in _fields(data, start, end):
            if number_ == 5:
                tensor = {of: (at, until) for of, at, until in _fields(data, start_, end_)}
                numbers = tensor.get(9) or tensor.get(4)
                if numbers:
                    found[data[slice(*tensor[8])].decode()] = numbers[0]
    return found


def _fields(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, first byte and end of the fields of a message that have a length. Source:
    https://protobuf.dev/programming-guides/encoding"""
    while start < end:
        tag, start = _varint(data, start)
        if tag & 7 == 2:
            length, start = _varint(data, start)
            yield tag >> 3, start, start + length
            start += length
        elif tag & 7 == 0:
            start = _varint(data, start)[1]
        else:
            start += 8 if tag & 7 == 1 else 4


def _varint(data: bytes, start: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = data[start]
        value, shift, start = value | (byte & 127) << shift, shift + 7, start + 1
        if byte < 128:
            return value, start


def _distance(matrix: np.ndarray, rounded: np.ndarray) -> float:
    """Between two matrices, the second of which may have been filled up with columns of 0."""
    missing = rounded.shape[1] - matrix.shape[1]
    if len(matrix) != len(rounded) or not 0 <= missing < BLOCK_SIZE:
        return math.inf
    return float(np.abs(np.pad(matrix, ((0, 0), (0, missing))) - rounded).mean())
