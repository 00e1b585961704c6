"""A TrOCR and a BLIP captioner of equal size with random weights, to compare them from scratch.

    python -m trainer.scratch --kind trocr --out runs/scratch/trocr
    python -m trainer.scratch --kind blip --out runs/scratch/blip
    python -m trainer.scratch --kind swin --out runs/scratch/swin

The first two look with a ViT of the same shape, write with a decoder of the same shape, and have
one token for each token of canonical LaTeX, so that what differs is what the families differ in.
The third is the first with a Swin transformer to look with. Then `--model_from
runs/scratch/trocr`, see trainer/configs/compare_*.yaml.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

from torch import nn
from transformers import (
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessor,
    BlipProcessor,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    SwinConfig,
    TrOCRConfig,
    TrOCRForCausalLM,
    TrOCRProcessor,
    VisionEncoderDecoderConfig,
    VisionEncoderDecoderModel,
    ViTConfig,
    ViTImageProcessor,
    set_seed,
)

from latexocr.errors import ModelError
from latexocr.tokenizer import build_tokenizer

KINDS = ("trocr", "blip", "swin")


@dataclass(frozen=True)
class Shape:
    """Of both families. Sides in pixels; the defaults make about nine million parameters."""

    side: int = 256
    patch: int = 16
    width: int = 256
    heads: int = 4
    feedforward: int = 1024
    encoder_layers: int = 6
    decoder_layers: int = 4
    longest: int = 260  # tokens, start and end included


def write_scratch(kind: str, folder: Path, shape: Shape, seed: int = 0) -> int:
    """Write a checkpoint with random weights. Returns: its parameters.

    Raises: ModelError if the folder has something in it."""
    if folder.exists() and any(folder.iterdir()):
        raise ModelError(f"{folder}: expected a new or an empty folder, got one with files")
    set_seed(seed)
    tokenizer = build_tokenizer()
    if kind == "blip":
        model = _write_blip(folder, shape, tokenizer)
    else:
        encoder = _swin(shape) if kind == "swin" else ViTConfig(**_vision(shape))
        model = _write_trocr(folder, shape, tokenizer, encoder)
    return sum(p.numel() for p in model.parameters())


def _vision(shape: Shape) -> dict[str, int]:
    return {
        "image_size": shape.side,
        "patch_size": shape.patch,
        "hidden_size": shape.width,
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.encoder_layers,
        "intermediate_size": shape.feedforward,
    }


def _swin(shape: Shape) -> SwinConfig:
    """As wide at its end as the ViT and with cells as large there: three stages, the cells of each
    twice as large as those of the one before."""
    stages = (1, 2, shape.encoder_layers)
    return SwinConfig(
        image_size=shape.side,
        patch_size=shape.patch // 4,
        embed_dim=shape.width // 4,
        depths=stages,
        num_heads=[max(1, shape.heads >> (2 - i)) for i in range(3)],
        window_size=min(8, shape.side // shape.patch),
        mlp_ratio=shape.feedforward / shape.width,
    )


def _write_trocr(
    folder: Path, shape: Shape, tokenizer: PreTrainedTokenizerFast, encoder: PreTrainedConfig
) -> nn.Module:
    decoder = TrOCRConfig(
        vocab_size=len(tokenizer),
        d_model=shape.width,
        decoder_layers=shape.decoder_layers,
        decoder_attention_heads=shape.heads,
        decoder_ffn_dim=shape.feedforward,
        max_position_embeddings=shape.longest,
        cross_attention_hidden_size=shape.width,
        bos_token_id=tokenizer.bos_token_id,
        decoder_start_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    model = VisionEncoderDecoderModel(config, decoder=TrOCRForCausalLM(decoder))
    model.save_pretrained(folder)
    size = {"height": shape.side, "width": shape.side}
    TrOCRProcessor(ViTImageProcessor(size=size), tokenizer).save_pretrained(folder)
    return model


def _write_blip(folder: Path, shape: Shape, tokenizer: PreTrainedTokenizerFast) -> nn.Module:
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": shape.width,
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.decoder_layers,
        "intermediate_size": shape.feedforward,
        "max_position_embeddings": shape.longest,
        "bos_token_id": tokenizer.bos_token_id,
        "sep_token_id": tokenizer.eos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    # The library's own start of 1e-10 is for weights that are loaded afterwards.
    config = BlipConfig(
        text_config=text, vision_config=_vision(shape) | {"initializer_range": 0.02}
    )
    model = BlipForConditionalGeneration(config)
    model.save_pretrained(folder)
    size = {"height": shape.side, "width": shape.side}
    BlipProcessor(BlipImageProcessor(size=size), tokenizer).save_pretrained(folder)
    return model


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=KINDS, required=True)
    parser.add_argument("--out", type=Path, required=True, help="new folder")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    n_parameters = write_scratch(arguments.kind, arguments.out, Shape(), arguments.seed)
    print(f"{arguments.out}: {arguments.kind}, {n_parameters / 1e6:.2f} million parameters")


if __name__ == "__main__":
    main()
