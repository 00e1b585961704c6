"""TrOCR and BLIP checkpoints with random weights, as folders that look like those of the Hub."""

import io
from pathlib import Path

from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, trainers
from tokenizers.models import BPE, WordPiece
from transformers import (
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessor,
    BlipProcessor,
    DeiTConfig,
    DeiTImageProcessor,
    PreTrainedTokenizerFast,
    TrOCRConfig,
    TrOCRForCausalLM,
    TrOCRProcessor,
    VisionEncoderDecoderConfig,
    VisionEncoderDecoderModel,
    ViTConfig,
    ViTImageProcessor,
    set_seed,
)

from tests.conftest import draw
from tests.tiny import inkml
from trainer.data.batches import BatchConfig, Draw
from trainer.data.crohme import parse_inkml
from trainer.data.examples import InkExample, PictureExample
from trainer.foreign import ForeignBatch, ForeignModel, ForeignTrainee
from trainer.trainee import Alterations

SIDE_PX = 32
TEXTS = [r"\frac { a } { b } x l T +", r"\sqrt { x } ^ { 2 } \alpha \begin{matrix} \end{matrix}"]
SHAPE = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}


def write_foreign(folder: Path, kind: str) -> Path:
    """A model with its processor. Args: kind, one of vit, deit and blip."""
    set_seed(0)
    if kind == "blip":
        write_blip(folder)
    else:
        write_trocr(folder, kind)
    return folder


def write_trocr(folder: Path, encoder: str) -> None:
    tokenizer = bpe_tokenizer()
    seen = SHAPE | {"intermediate_size": 32, "image_size": SIDE_PX, "patch_size": 8}
    size = {"height": SIDE_PX, "width": SIDE_PX}
    if encoder == "vit":
        encoder_config, image_processor = ViTConfig(**seen), ViTImageProcessor(size=size)
    else:
        encoder_config = DeiTConfig(**seen)
        image_processor = DeiTImageProcessor(size=size, do_center_crop=False)
    special = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2}
    decoder_config = TrOCRConfig(
        vocab_size=len(tokenizer),
        d_model=32,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=32,
        max_position_embeddings=64,
        dropout=0.0,
        cross_attention_hidden_size=32,
        **special,
    )
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder_config, decoder_config)
    model = VisionEncoderDecoderModel(config, decoder=TrOCRForCausalLM(decoder_config))
    # As checkpoints of the Hub have them: they must not rule the reading of formulas.
    model.generation_config.update(max_length=5, num_beams=4, no_repeat_ngram_size=2)
    model.save_pretrained(folder)
    TrOCRProcessor(image_processor, tokenizer).save_pretrained(folder)


def write_blip(folder: Path) -> None:
    tokenizer = wordpiece_tokenizer()
    text = SHAPE | {
        "vocab_size": len(tokenizer) + 2,  # its start token is none of the tokenizer's
        "intermediate_size": 32,
        "max_position_embeddings": 64,
        "bos_token_id": len(tokenizer),
        "sep_token_id": tokenizer.sep_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.sep_token_id,
    }
    vision = SHAPE | {
        "intermediate_size": 32,
        "image_size": SIDE_PX,
        "patch_size": 8,
        "initializer_range": 0.02,
    }
    config = BlipConfig(text_config=text, vision_config=vision)
    BlipForConditionalGeneration(config).save_pretrained(folder)
    size = {"height": SIDE_PX, "width": SIDE_PX}
    BlipProcessor(BlipImageProcessor(size=size), tokenizer).save_pretrained(folder)


def bpe_tokenizer() -> PreTrainedTokenizerFast:
    """Of bytes, as RoBERTa's and TrOCR's."""
    backend = Tokenizer(BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(TEXTS, trainer)
    names = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=backend, **names)


def wordpiece_tokenizer() -> PreTrainedTokenizerFast:
    """Of lower-case words and of punctuation, as BERT's and BLIP's."""
    backend = Tokenizer(WordPiece(unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=200,
        special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
        initial_alphabet=list("abcdefghijklmnopqrstuvwxyz0123456789\\{}^_+-=()[],./|!<>&~'"),
        show_progress=False,
    )
    backend.train_from_iterator(TEXTS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


# --- Training ------------------------------------------------------------------------------------


def png(letters: str) -> bytes:
    """An encoded picture of letters, or of blank paper."""
    buffer = io.BytesIO()
    draw(letters).save(buffer, "png")
    return buffer.getvalue()


EXAMPLES = [
    PictureExample("a.png", "x+T", png("x+T")),
    InkExample(parse_inkml(inkml("lxlxl").encode(), "b")),
]


def trainee(foreign: ForeignModel, **alterations: object) -> ForeignTrainee:
    return ForeignTrainee(foreign, 0.1, BatchConfig(), 2, Alterations(**alterations))


def batch_of(student: ForeignTrainee, indices: list[int]) -> ForeignBatch:
    """A batch of plain examples."""
    ids = [student.token_ids(example.latex) for example in EXAMPLES]
    dataset = student.dataset(EXAMPLES, ids, is_plain=True)
    return student.collate([dataset[Draw(0, i, 1.0)] for i in indices])
