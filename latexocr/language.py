"""How likely is a piece of LaTeX as such, whatever the picture shows?

A recogniser that hesitates between `x` and `X` can ask. The model is one recurrent layer over the
recogniser's own tokens, small enough to be asked at every step of decoding.

    language = LanguageModel.load(folder)                    # None if the folder has none
    log_probabilities, state = language.step(token_ids)      # (R, V) of the next tokens
"""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.utils import cached_file

from latexocr.errors import ModelError

LANGUAGE_FILE = "language_model.safetensors"  # beside a recogniser's weights


class LanguageModel(nn.Module):
    """A recurrent network (GRU) over tokens, whose output shares the embeddings of its input.

    Source: Press and Wolf 2017, "Using the output embedding to improve language models",
    arXiv:1608.05859."""

    def __init__(
        self, vocab_size: int, width: int = 192, hidden: int = 384, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, width)
        self.recurrent = nn.GRU(width, hidden, batch_first=True)
        self.projection = nn.Linear(hidden, width)
        self.bias = nn.Parameter(torch.zeros(vocab_size))
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.embedding.weight, std=width**-0.5 / 2)

    def forward(self, token_ids: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Args: token_ids (B, T), what has been written; state (1, B, H) after what came before.
        Returns: logits (B, T, V) of what comes next, and the state after it."""
        hidden, state = self.recurrent(self.dropout(self.embedding(token_ids)), state)
        written = self.dropout(self.projection(hidden))
        return F.linear(written, self.embedding.weight, self.bias), state

    def step(self, token_ids: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Log-probabilities (R, V) of the tokens after token_ids (R,), and the state (1, R, H)."""
        logits, state = self(token_ids[:, None], state)
        return torch.log_softmax(logits[:, 0].float(), dim=1), state

    def save(self, folder: Path) -> None:
        """Write the weights beside a recogniser's, in float16."""
        halves = {key: value.half().contiguous() for key, value in self.state_dict().items()}
        save_file(halves, folder / LANGUAGE_FILE, metadata={"format": "pt"})

    @classmethod
    def load(cls, source: str | Path) -> "LanguageModel | None":
        """The model of a recogniser's folder or Hub repository, None if there is none.

        Raises: ModelError if it is none of ours."""
        try:
            path = cached_file(str(source), LANGUAGE_FILE)
        except OSError:
            return None
        try:
            weights = load_file(path)
            (vocab_size, width), hidden = (
                weights["embedding.weight"].shape,
                weights["projection.weight"].shape[1],
            )
            model = cls(vocab_size, width, hidden)
            model.load_state_dict({key: value.float() for key, value in weights.items()})
        except (SafetensorError, KeyError, ValueError, RuntimeError, OSError) as error:
            raise ModelError(f"{path}: expected a language model, got {error}") from error
        return model.eval()
