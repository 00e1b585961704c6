"""Recognisers with fewer bits, as trainer/quantize.py writes them.

    recognizer = load_recognizer("folder")     # quantised or not, it reads all the same
    recognizer = load_quickest("folder")       # in int8, if its twin is there and runs here

A quantised folder says in quantization.json how to run it:

    bf16        config, tokenizer and safetensors, with bfloat16 where most of the work is
    onnx-int8   config, tokenizer and two ONNX graphs (needs `pip install onnxruntime`), and
                in places.json where the graphs' weights stand, so that they can take others
"""

from __future__ import annotations

import hashlib
import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast, VisionEncoderDecoderConfig

from latexocr.adapter import ADAPTER_FILE
from latexocr.errors import ModelError
from latexocr.graph_weights import ENCODER_FILE, STEP_FILE, graph_weights, with_weights
from latexocr.hub import QUICK
from latexocr.language import LanguageModel
from latexocr.modeling import COARSE_STRIDE, STRIDE, InkEncoderOutput, RecognizerModel
from latexocr.recognizer import Recognizer
from latexocr.stepping import rows_of

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Method = Literal["bf16", "onnx-int8"]
METHODS: tuple[Method, ...] = get_args(Method)

QUANTIZATION_FILE = "quantization.json"
PLACES_FILE = "places.json"  # graph_weights.Places by the graph's file


def load_recognizer(folder: str | Path, device: str | None = None) -> Recognizer:
    """The recogniser of a folder, quantised or not; of a Hub repository, only if it is not.

    Args: device as torch names it; ONNX graphs run on the CPU whatever it says.
    Raises: ModelError if there is none, or what runs it is not installed."""
    method = quantization_of(folder)
    if method == "onnx-int8":
        return _load_graphs(Path(folder), Path(folder).with_name("recognizer"))
    recognizer = Recognizer.from_pretrained(folder, device)
    if method == "bf16":
        run_in_bfloat16(recognizer.model)
    return recognizer


def load_quickest(folder: str | Path, device: str | None = None) -> Recognizer:
    """The recogniser of a folder; on a CPU its int8 twin in the folder beside it, where there is
    one that was made of these weights, and ONNX Runtime to run it.

    Args and errors: as load_recognizer."""
    on_cpu = device == "cpu" or (device is None and not torch.cuda.is_available())
    twin = find_twin(Path(folder)) if on_cpu else None
    return load_recognizer(folder, device) if twin is None else _load_graphs(twin, Path(folder))


def _load_graphs(folder: Path, source: Path) -> Recognizer:
    """The recogniser of a folder with ONNX graphs, which take up the adapter that may lie beside
    the weights that they were made of, in source."""
    language = LanguageModel.load(folder)
    adapted = Recognizer.from_pretrained(source, "cpu").model if _adapts(source, folder) else None
    return Recognizer(OnnxModel(folder, adapted), _tokenizer(folder), "cpu", language)


def find_twin(folder: Path) -> Path | None:
    """The folder beside it with the int8 twin of these weights, if there is one that runs here."""
    twin = folder.with_name(QUICK)
    record = _record_of(twin) if find_spec("onnxruntime") else None
    fits = record and (record.get("of") == weights_digest(folder) or _adapts(folder, twin))
    return twin if fits else None


def _adapts(folder: Path, twin: Path) -> bool:
    """Whether graphs were made of the weights of a folder before these had their adapter, and can
    take it up."""
    if not ((folder / ADAPTER_FILE).is_file() and (twin / PLACES_FILE).is_file()):
        return False
    return (_record_of(twin) or {}).get("of") == weights_digest(folder, with_adapters=False)


def quantization_of(folder: str | Path) -> Method | None:
    """How a folder's weights are quantised; None if they are not.

    Raises: ModelError if this is no way that we know."""
    record = _record_of(folder)
    return None if record is None else record["method"]


def _record_of(folder: str | Path) -> dict[str, Any] | None:
    """What write_quantization wrote, with a method that we know; None if there is nothing.

    Raises: ModelError if it is something else."""
    path = Path(folder) / QUANTIZATION_FILE
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        method = record["method"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f'{path}: expected {{"method": ...}}, got {error!r}') from error
    if method not in METHODS:
        raise ModelError(f"{path}: expected a method out of {', '.join(METHODS)}, got {method!r}")
    return record


def write_quantization(
    folder: Path, method: Method, source: str = "", n_parameters: int = 0
) -> None:
    """Args: source, weights_digest of what was quantised, and how many parameters that has."""
    record = {"method": method, "of": source, "parameters": n_parameters}
    (folder / QUANTIZATION_FILE).write_text(json.dumps(record) + "\n", "utf-8")


def weights_digest(*folders: Path, with_adapters: bool = True) -> str:
    """A short name for the weights of folders that is another one for other weights: the first
    digits of their SHA-256."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted([*folder.glob("*.safetensors"), *folder.glob("*.onnx")]):
            if with_adapters or path.name != ADAPTER_FILE:
                digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _tokenizer(folder: str | Path) -> PreTrainedTokenizerFast:
    try:
        return PreTrainedTokenizerFast.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder}: expected a recogniser's tokenizer, got {error}") from error


# --- bfloat16 ----------------------------------------------------------------------------------


def to_bfloat16(model: RecognizerModel) -> None:
    """Round the weights that most of the work is done with; norms keep theirs."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            module.to(torch.bfloat16)


def run_in_bfloat16(model: RecognizerModel) -> None:
    """Round the weights, and multiply in bfloat16 from now on."""
    to_bfloat16(model)
    autocast = torch.autocast(model.device.type, torch.bfloat16)
    # Decoding calls encoder and steps by themselves.
    model.forward = autocast(model.forward)
    model.products_dtype = torch.bfloat16
    model.encoder.forward = autocast(model.encoder.forward)


# --- ONNX --------------------------------------------------------------------------------------


class OnnxModel(nn.Module):
    """Two ONNX graphs (see trainer/onnx_graphs.py) behind the face of a RecognizerModel, as far as
    decoding looks at it."""

    def __init__(self, folder: Path, adapted: RecognizerModel | None = None) -> None:
        """Args: adapted, a model of the same shape whose weights the graphs take over.

        Raises: ModelError if the graphs are missing or ONNX Runtime is."""
        super().__init__()
        if not (folder / "config.json").is_file():
            raise ModelError(f"{folder}: expected a recogniser's folder, got one without config")
        self.config = VisionEncoderDecoderConfig.from_pretrained(folder)
        self.device = torch.device("cpu")
        self.n_parameters = int((_record_of(folder) or {}).get("parameters", 0))
        graphs = {name: folder / name for name in (ENCODER_FILE, STEP_FILE)}
        if adapted is not None:
            graphs |= _with_weights_of(adapted, folder)
        self.encoder = OnnxEncoder(open_session(graphs[ENCODER_FILE], folder))
        self.step = open_session(graphs[STEP_FILE], folder)
        self.outputs = [output.name for output in self.step.get_outputs()]

    def steps(self, encoded: InkEncoderOutput) -> OnnxSteps:
        """As RecognizerModel.steps."""
        return OnnxSteps(self, encoded)


class OnnxSteps:
    """Steps (see stepping.py) of the step's graph."""

    def __init__(self, model: OnnxModel, encoded: InkEncoderOutput) -> None:
        self.model = model
        decoder, memory = model.config.decoder, encoded.last_hidden_state
        n_layers, heads = decoder.decoder_layers, decoder.decoder_attention_heads
        # Keys (P, heads, C / heads, N) and values (P, heads, N, C / heads) of all cells, by layer.
        parts = memory.unflatten(2, (2 * n_layers, heads, -1)).permute(2, 0, 3, 1, 4)
        self.seen = {"cells": _array(encoded.attention_mask)}
        self.own: dict[str, Tensor] = {}  # keys and values of what was written, by row
        for i in range(n_layers):
            self.seen[f"cross_keys_{i}"] = _array(parts[2 * i].transpose(2, 3))
            self.seen[f"cross_values_{i}"] = _array(parts[2 * i + 1])
            for group in ("keys", "values"):
                self.own[f"{group}_{i}"] = torch.zeros(0, heads, 0, parts.shape[-1])

    def step(self, tokens: Tensor, places: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """See stepping.Steps."""
        n_rows, n_pictures = len(tokens), len(self.seen["cells"])
        rows = {"tokens": tokens, "places": places} | self.own
        feed = {
            name: _array(value.reshape(n_pictures, n_rows // n_pictures, *value.shape[1:]))
            for name, value in rows.items()
        }
        found = self.model.step.run(self.model.outputs, feed | self.seen)
        by_row = [torch.from_numpy(value).flatten(0, 1) for value in found]
        out = dict(zip(self.model.outputs, by_row, strict=True))
        self.own = {name: out[f"all_{name}"] for name in self.own}
        attentions = tuple(value for name, value in out.items() if name.startswith("attention"))
        return out["logits"], attentions

    def follow(self, rows: Tensor) -> None:
        """See stepping.Steps."""
        self.own = {name: past.index_select(0, rows) for name, past in self.own.items()}

    def keep(self, pictures: Tensor) -> None:
        """See stepping.Steps."""
        n_rows, n_pictures = len(next(iter(self.own.values()))), len(self.seen["cells"])
        self.follow(rows_of(pictures, n_rows // n_pictures))
        self.seen = {name: value[pictures.numpy()] for name, value in self.seen.items()}


def _array(value: Tensor) -> np.ndarray:
    return value.contiguous().numpy()


class OnnxEncoder:
    """The encoder's graph. It takes pictures one by one: then none is padded, and no cell has to
    be hidden from the others."""

    def __init__(self, session: InferenceSession) -> None:
        self.session = session

    def __call__(self, pixel_values: Tensor, picture_sizes: Tensor) -> InkEncoderOutput:
        """As InkEncoder.forward, but what it returns as last_hidden_state (B, N, 2 * layers * C)
        are the keys and values of the decoder's layers; attention_mask is never None."""
        b, _, height, width = pixel_values.shape
        rows, columns = height // STRIDE, width // STRIDE
        memory, mask = None, torch.zeros(b, rows, columns, dtype=torch.bool)
        for i, (h, w) in enumerate((-(-picture_sizes // COARSE_STRIDE)).tolist()):
            own = pixel_values[i : i + 1, :, : h * COARSE_STRIDE, : w * COARSE_STRIDE]
            (found,) = self.session.run(None, {"pixel_values": own.contiguous().numpy()})
            if memory is None:
                memory = torch.zeros(b, rows, columns, found.shape[3])
            memory[i, : found.shape[1], : found.shape[2]] = torch.from_numpy(found[0])
            mask[i, : found.shape[1], : found.shape[2]] = True
        return InkEncoderOutput(memory.flatten(1, 2), mask.flatten(1))


def _with_weights_of(model: RecognizerModel, folder: Path) -> dict[str, bytes]:
    """The graphs of a folder with other weights, by file."""
    path = folder / PLACES_FILE
    try:
        places = json.loads(path.read_text(encoding="utf-8"))
        return {
            name: with_weights((folder / name).read_bytes(), places[name], weights)
            for name, weights in graph_weights(model).items()
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path}: expected places of the graphs' weights, got {error!r}"
        ) from error


def open_session(graph: Path | bytes, folder: Path) -> InferenceSession:
    """An ONNX graph, ready to run with torch's number of threads.

    Args: graph, a file or what is in one; folder, to be named in errors.
    Raises: ModelError if it cannot be loaded."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelError(
            f"{folder}: expected ONNX Runtime to be installed for this model; "
            f"`pip install onnxruntime` brings it ({error})"
        ) from error
    options: Any = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    # Threads that wait in a loop for the next graph would take the cores from torch's.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime raises kinds of its own, with Exception as their base
        where = graph if isinstance(graph, Path) else folder
        raise ModelError(f"{where}: expected an ONNX graph, got {error}") from error
