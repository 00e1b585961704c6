"""A change of a recogniser's weights, in a small file beside them.

    adapter = Adapter.load(folder)      # None if the folder has none
    adapter.add_to(model)

Each matrix changes by a product of two thin ones, and a bias or a norm by as many numbers as it
has, all of them whole multiples of a step. A kernel (C_out, C_in, h, w) counts as a matrix
(C_out, C_in * h * w). trainer/adapter.py makes them, Recognizer.from_pretrained adds them.

Source: Hu et al. 2021, "LoRA: low-rank adaptation of large language models", arXiv:2106.09685.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch import Tensor, nn
from transformers.utils import cached_file

from latexocr.errors import ModelError

ADAPTER_FILE = "adapter.safetensors"  # beside a recogniser's weights


@dataclass(frozen=True)
class Change:
    """Of one tensor, in whole numbers, int8: factors left (C_out, R) and right (R, C_in), whose
    product counts step ** 2 each, or alone what counts step, (C,)."""

    step: float
    factors: tuple[np.ndarray, ...]

    def values(self) -> Tensor:
        """(C_out, C_in) or (C,), float32."""
        scaled = [self.step * torch.from_numpy(codes).float() for codes in self.factors]
        return scaled[0] @ scaled[1] if len(scaled) == 2 else scaled[0]


@dataclass(frozen=True)
class Adapter:
    """Changes by the tensor's name in the model's state."""

    changes: Mapping[str, Change]

    def add_to(self, model: nn.Module) -> None:
        """Raises: ModelError if the model has no such tensors."""
        state = model.state_dict()
        with torch.no_grad():
            for name, change in self.changes.items():
                values, tensor = change.values(), state.get(name)
                if tensor is None or tensor.numel() != values.numel():
                    shape = None if tensor is None else tuple(tensor.shape)
                    raise ModelError(
                        f"expected an adapter of these weights, got one that changes {name} by "
                        f"{tuple(values.shape)} numbers where the weights have {shape}"
                    )
                tensor += values.view_as(tensor).to(tensor)

    def save(self, folder: Path) -> None:
        """Write it beside a recogniser's weights."""
        parts = [codes for change in self.changes.values() for codes in change.factors]
        codes = b"".join(part.astype(np.int8).tobytes() for part in parts)
        shapes = {
            name: [factor.shape for factor in change.factors]
            for name, change in self.changes.items()
        }
        tensors = {
            "steps": np.array([change.step for change in self.changes.values()], np.float32),
            # Most codes are small: written plainly they would take three times as much.
            "codes": np.frombuffer(lzma.compress(codes, preset=9), np.uint8),
        }
        save_file(tensors, folder / ADAPTER_FILE, metadata={"shapes": json.dumps(shapes)})

    @classmethod
    def load(cls, source: str | Path) -> Adapter | None:
        """The adapter of a recogniser's folder or Hub repository, None if there is none.

        Raises: ModelError if it is none of ours."""
        try:
            path = cached_file(str(source), ADAPTER_FILE)
        except OSError:
            return None
        try:
            with safe_open(path, framework="numpy") as file:
                shapes = json.loads((file.metadata() or {})["shapes"])
                steps, packed = file.get_tensor("steps"), file.get_tensor("codes")
            codes = np.frombuffer(lzma.decompress(packed.tobytes()), np.int8).copy()
            changes, start = {}, 0
            for (name, of_factors), step in zip(shapes.items(), steps, strict=True):
                factors = []
                for shape in of_factors:
                    size = int(np.prod(shape))
                    factors.append(codes[start : start + size].reshape(shape))
                    start += size
                changes[name] = Change(float(step), tuple(factors))
        except (SafetensorError, lzma.LZMAError, KeyError, ValueError, OSError) as error:
            raise ModelError(f"{path}: expected an adapter, got {error!r}") from error
        return cls(changes)
