"""The recogniser: an encoder made for ink of standard symbol size, and TrOCR's decoder.

The encoder is hierarchical. Strided convolutions bring the picture to one cell per 8 pixels,
self-attention runs on a coarser grid of 16 pixels, and its result is added back to the finer grid,
which is what the decoder looks at. A small script is then several cells wide, at a quarter of the
cost of attention on that grid.

    model = build_model(RecognizerConfig(vocab_size=len(tokenizer)))
    out = model(pixel_values, picture_sizes=sizes, decoder_input_ids=ids)    # out.logits (B, T, V)
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import (
    AutoConfig,
    AutoModel,
    PreTrainedConfig,
    PreTrainedModel,
    TrOCRConfig,
    TrOCRForCausalLM,
    VisionEncoderDecoderConfig,
    VisionEncoderDecoderModel,
)
from transformers.modeling_outputs import BaseModelOutput, Seq2SeqLMOutput
from transformers.utils import ModelOutput

from latexocr.stepping import DecoderSteps

STRIDE = 8  # pixels per cell of the grid that the decoder looks at
COARSE_STRIDE = 16  # pixels per cell where self-attention runs; pictures are padded to it


class InkEncoderConfig(PreTrainedConfig):
    """Shape of the encoder, and the symbol size in pixels that its pictures are scaled to."""

    model_type = "latexocr-ink"

    symbol_px: int = 20  # pixels, see imaging.symbol_size
    stage_widths: tuple[int, ...] | list[int] = (48, 96, 192)  # channels at strides 2, 4 and 8
    stage_blocks: tuple[int, ...] | list[int] = (1, 2, 3)  # residual blocks at strides 2, 4 and 8
    hidden_size: int = 256
    attention_layers: int = 3
    attention_heads: int = 8
    ffn_size: int = 1024
    dropout: float = 0.1


@dataclass(frozen=True)
class RecognizerConfig:
    """What distinguishes one recogniser from another; everything else follows from it."""

    vocab_size: int = 0  # taken from the tokenizer
    symbol_px: int = 20  # pixels
    stage_widths: tuple[int, ...] = (48, 96, 192)
    stage_blocks: tuple[int, ...] = (1, 2, 3)
    hidden_size: int = 256
    attention_layers: int = 3
    attention_heads: int = 8
    ffn_size: int = 1024
    decoder_layers: int = 3
    decoder_ffn_size: int = 1024
    dropout: float = 0.1
    max_tokens: int = 512  # longest formula, start and end tokens included
    pad_id: int = 0
    start_id: int = 1
    end_id: int = 2

    def __post_init__(self) -> None:
        if len(self.stage_widths) != 3 or len(self.stage_blocks) != 3:
            raise ValueError(
                "stage_widths and stage_blocks need one number for each of the strides 2, 4 and 8, "
                f"got {self.stage_widths} and {self.stage_blocks}"
            )
        if self.hidden_size % (4 * self.attention_heads):
            raise ValueError(
                f"hidden_size must be a multiple of 4 * attention_heads, got {self.hidden_size} "
                f"and {self.attention_heads} heads"
            )


@dataclass
class InkEncoderOutput(ModelOutput):
    """last_hidden_state (B, N, C), N = H/8 * W/8 cells row by row; attention_mask (B, N), True on
    a picture's own cells, or None when no picture of the batch is padded."""

    last_hidden_state: Tensor | None = None
    attention_mask: Tensor | None = None


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a skip connection; padded cells stay zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        inner = masked(F.relu(self.norm1(self.conv1(x)), inplace=True), mask)
        return masked(F.relu(x + self.norm2(self.conv2(inner))), mask)


class Downsample(nn.Module):
    """A 3x3 convolution of stride 2."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width_in, width_out, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width_out)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        return masked(F.relu(self.norm(self.conv(x)), inplace=True), mask)


class AttentionLayer(nn.Module):
    """Pre-norm self-attention and feed-forward layer."""

    def __init__(self, config: InkEncoderConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads = config.attention_heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.ffn1 = nn.Linear(width, config.ffn_size)
        self.ffn2 = nn.Linear(config.ffn_size, width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """x (B, N, C); mask (B, N), True where attention may look."""
        b, n, c = x.shape
        qkv = self.qkv(self.norm1(x)).view(b, n, 3, self.heads, c // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, N, C / heads)
        allowed = None if mask is None else mask[:, None, None, :]
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
        x = x + self.dropout(self.out(mixed.transpose(1, 2).reshape(b, n, c)))
        return x + self.dropout(self.ffn2(F.gelu(self.ffn1(self.norm2(x)))))


class InkEncoder(PreTrainedModel):
    """Ink picture to a grid of features, one per 8x8 pixels."""

    config_class = InkEncoderConfig
    main_input_name = "pixel_values"
    base_model_prefix = "ink_encoder"

    def __init__(self, config: InkEncoderConfig) -> None:
        super().__init__(config)
        w2, w4, w8 = config.stage_widths
        b2, b4, b8 = config.stage_blocks
        self.down2, self.stage2 = Downsample(1, w2), blocks(w2, b2)
        self.down4, self.stage4 = Downsample(w2, w4), blocks(w4, b4)
        self.down8, self.stage8 = Downsample(w4, w8), blocks(w8, b8)
        self.down16 = Downsample(w8, config.hidden_size)
        self.layers = nn.ModuleList(AttentionLayer(config) for _ in range(config.attention_layers))
        self.fine = nn.Linear(w8, config.hidden_size)
        self.coarse = nn.Linear(config.hidden_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm | nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)

    def forward(
        self, pixel_values: Tensor, picture_sizes: Tensor | None = None, **_: object
    ) -> InkEncoderOutput:
        """Encode a batch of pictures of different sizes.

        Args: pixel_values (B, 1, H, W) float, 0 paper to 1 ink, H and W multiples of 16, each
            picture in the upper left corner and 0 around it; picture_sizes (B, 2) int64, height and
            width of each picture in pixels, None when all of them fill (H, W).
        Raises: ValueError if H or W is not a multiple of 16."""
        height, width = pixel_values.shape[-2:]
        if height % COARSE_STRIDE or width % COARSE_STRIDE:
            raise ValueError(
                f"height and width must be multiples of {COARSE_STRIDE}, got {height} x {width}"
            )
        cells = coarse_mask(picture_sizes, height, width)  # (B, H/16, W/16) or None
        x = pixel_values.contiguous(memory_format=torch.channels_last)
        for factor, down, stage in (
            (8, self.down2, self.stage2),
            (4, self.down4, self.stage4),
            (2, self.down8, self.stage8),
        ):
            mask = grid_mask(cells, factor, x.dtype)
            x = down(x, mask)
            for block in stage:
                x = block(x, mask)
        features = self._attend(x, cells)  # (B, N, C)
        fine_cells = None if cells is None else enlarge(cells, 2).flatten(1)
        return InkEncoderOutput(last_hidden_state=features, attention_mask=fine_cells)

    def _attend(self, x: Tensor, cells: Tensor | None) -> Tensor:
        """x (B, W8, H/8, W/8) -> (B, H/8 * W/8, C)."""
        coarse = self.down16(x, None)  # (B, C, H/16, W/16)
        b, c, rows, columns = coarse.shape
        tokens = coarse.flatten(2).transpose(1, 2) + positions(rows, columns, 2, c, x.device)
        flat_cells = None if cells is None else cells.flatten(1)
        for layer in self.layers:
            tokens = layer(tokens, flat_cells)
        context = self.coarse(tokens).view(b, rows, columns, -1)
        context = context.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
        fine = self.fine(x.permute(0, 2, 3, 1)) + context  # (B, H/8, W/8, C)
        fine = fine.flatten(1, 2) + positions(2 * rows, 2 * columns, 1, c, x.device)
        return self.norm(fine)


def blocks(width: int, n: int) -> nn.ModuleList:
    return nn.ModuleList(ResidualBlock(width) for _ in range(n))


def masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """Zero where the mask is 0: convolutions must see padding as the outside of the picture,
    or a picture's reading would depend on its neighbours in the batch."""
    return x if mask is None else x * mask.to(x.dtype)


def coarse_mask(sizes: Tensor | None, height: int, width: int) -> Tensor | None:
    """(B, H/16, W/16) bool, True on the cells that a picture covers; None if all are covered."""
    if sizes is None:
        return None
    n_cells = -(-sizes // COARSE_STRIDE)  # rounded up
    rows = torch.arange(height // COARSE_STRIDE, device=sizes.device)
    columns = torch.arange(width // COARSE_STRIDE, device=sizes.device)
    mask = (rows < n_cells[:, :1])[:, :, None] & (columns < n_cells[:, 1:])[:, None, :]
    return None if bool(mask.all()) else mask


def enlarge(mask: Tensor, factor: int) -> Tensor:
    """(B, h, w) -> (B, h * factor, w * factor)."""
    return mask.repeat_interleave(factor, dim=1).repeat_interleave(factor, dim=2)


def grid_mask(cells: Tensor | None, factor: int, dtype: torch.dtype) -> Tensor | None:
    """(B, h, w) bool -> (B, 1, h * factor, w * factor) of the given type."""
    return None if cells is None else enlarge(cells, factor)[:, None].to(dtype)


def positions(rows: int, columns: int, step: int, width: int, device: torch.device) -> Tensor:
    """Sine and cosine positions of a grid's cell centres, (1, rows * columns, width).

    Half of the channels tell the row, half the column, in units of 8 pixels; step is the cell's
    size in these units. Source: Carion et al. 2020, arXiv:2005.12872, appendix A.4."""
    waves = frequencies(width // 4, device)
    y = (torch.arange(rows, device=device) + 0.5)[:, None] * step * waves
    x = (torch.arange(columns, device=device) + 0.5)[:, None] * step * waves
    y = torch.cat([y.sin(), y.cos()], dim=1)[:, None].expand(rows, columns, -1)
    x = torch.cat([x.sin(), x.cos()], dim=1)[None].expand(rows, columns, -1)
    return torch.cat([y, x], dim=2).reshape(1, rows * columns, width)


def place_waves(places: Tensor, width: int) -> Tensor:
    """As positions, of single places: (..., 2), row and column in cells -> (..., width); 0 where
    they are negative."""
    angles = places[..., None] * frequencies(width // 4, places.device)  # (..., 2, width / 4)
    waves = torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(-2)
    return waves * (places[..., :1] >= 0)


def frequencies(n_waves: int, device: torch.device) -> Tensor:
    """(n_waves,), in radians per cell."""
    return torch.exp(torch.arange(n_waves, device=device) * (-math.log(10000.0) / n_waves))


class RecognizerModel(VisionEncoderDecoderModel):
    """VisionEncoderDecoderModel that hides padded cells from the decoder, and tells it where on the
    paper the last token stands (see places.py).

    The stock class passes no encoder mask to its decoder, so a picture's reading would depend on
    how far its batch was padded. Train from `logits`; `labels` are not taken (see
    trainer/objective.py)."""

    # What the steps of decoding multiply in, where that is not what the weights are stored in.
    products_dtype: torch.dtype | None = None

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        width = self.config.decoder.hidden_size
        self.place = nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.place.weight)

    def _init_weights(self, module: nn.Module) -> None:
        # Weights from before there were places do without them.
        if module is self.place:
            nn.init.zeros_(module.weight)
        else:
            super()._init_weights(module)

    def embedded(self, token_ids: Tensor, places: Tensor | None) -> Tensor:
        """Embeddings (..., C) of tokens (...) at places (..., 2)."""
        embedded = self.decoder.get_input_embeddings()(token_ids)
        if places is None:
            return embedded
        waves = place_waves(places, embedded.shape[-1]).to(embedded.dtype)
        return embedded + self.place(waves)

    def steps(self, encoded: InkEncoderOutput) -> DecoderSteps:
        """The decoder one token at a time."""
        return DecoderSteps(self, encoded)

    def forward(
        self,
        pixel_values: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
        encoder_outputs: InkEncoderOutput | None = None,
        cache: object | None = None,
        picture_sizes: Tensor | None = None,
        places: Tensor | None = None,
        use_cache: bool | None = None,
        output_attentions: bool | None = None,
        **_: object,
    ) -> Seq2SeqLMOutput:
        """Args: pixel_values and picture_sizes as InkEncoder.forward; decoder_input_ids (B, T);
            places (B, T, 2), row and column in cells of the fine grid that each of these tokens
            stands at, negative where it is nowhere.
        Returns: logits (B, T, V), and the encoder's features as encoder_last_hidden_state."""
        if encoder_outputs is None:
            encoder_outputs = self.encoder(pixel_values, picture_sizes)
        elif not isinstance(encoder_outputs, InkEncoderOutput | BaseModelOutput):
            encoder_outputs = InkEncoderOutput(*encoder_outputs)
        decoded = self.decoder(
            inputs_embeds=self.embedded(decoder_input_ids, places),
            attention_mask=decoder_attention_mask,
            encoder_hidden_states=encoder_outputs.last_hidden_state,
            encoder_attention_mask=encoder_outputs.get("attention_mask"),
            cache=cache,
            use_cache=use_cache,
            output_attentions=output_attentions,
            return_dict=True,
        )
        return Seq2SeqLMOutput(
            logits=decoded.logits,
            cache=decoded.cache,
            cross_attentions=decoded.cross_attentions,
            encoder_last_hidden_state=encoder_outputs.last_hidden_state,
        )


def build_model(config: RecognizerConfig) -> RecognizerModel:
    """A recogniser with random weights."""
    encoder = InkEncoderConfig(
        symbol_px=config.symbol_px,
        stage_widths=list(config.stage_widths),
        stage_blocks=list(config.stage_blocks),
        hidden_size=config.hidden_size,
        attention_layers=config.attention_layers,
        attention_heads=config.attention_heads,
        ffn_size=config.ffn_size,
        dropout=config.dropout,
    )
    special = {
        "pad_token_id": config.pad_id,
        "bos_token_id": config.start_id,
        "eos_token_id": config.end_id,
        "decoder_start_token_id": config.start_id,
    }
    decoder = TrOCRConfig(
        vocab_size=config.vocab_size,
        d_model=config.hidden_size,
        decoder_layers=config.decoder_layers,
        decoder_attention_heads=config.attention_heads,
        decoder_ffn_dim=config.decoder_ffn_size,
        max_position_embeddings=config.max_tokens,
        dropout=config.dropout,
        cross_attention_hidden_size=config.hidden_size,
        **special,
    )
    whole = VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder, **special)
    return RecognizerModel(whole, InkEncoder(encoder), TrOCRForCausalLM(decoder))


AutoConfig.register(InkEncoderConfig.model_type, InkEncoderConfig, exist_ok=True)
AutoModel.register(InkEncoderConfig, InkEncoder, exist_ok=True)
