"""Word-level tokenizer: one id per token of canonical LaTeX.

tokenizer = build_tokenizer()
ids = tokenizer(r"\\frac { a } { 2 }").input_ids      # [<s>, \\frac, {, a, }, {, 2, }, </s>]
tokenizer.decode(ids, skip_special_tokens=True)      # the same canonical LaTeX again
"""

from collections.abc import Iterable
from importlib.resources import files

from tokenizers import Tokenizer, pre_tokenizers, processors
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

PAD, START, END, UNKNOWN = "<pad>", "<s>", "</s>", "<unk>"
SPECIAL_TOKENS = (PAD, START, END, UNKNOWN)  # their places are their ids: 0, 1, 2, 3
MAX_TOKENS = 512  # longest formula, start and end tokens included


def default_vocabulary() -> list[str]:
    """The canonical tokens that embedded weights know, as listed in vocabulary.txt."""
    text = files("latexocr").joinpath("vocabulary.txt").read_text(encoding="utf-8")
    return text.split()


def build_tokenizer(tokens: Iterable[str] | None = None) -> PreTrainedTokenizerFast:
    """A tokenizer for the given canonical tokens, by default those of vocabulary.txt.

    Raises: ValueError if a token occurs twice or is one of the special tokens."""
    words = [*SPECIAL_TOKENS, *(default_vocabulary() if tokens is None else tokens)]
    vocabulary = {word: i for i, word in enumerate(words)}
    if len(vocabulary) != len(words):
        doubles = sorted({word for word in words if words.count(word) > 1})
        raise ValueError(f"expected every token once, got {', '.join(doubles)} more than once")
    backend = Tokenizer(WordLevel(vocabulary, unk_token=UNKNOWN))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}",
        special_tokens=[(START, vocabulary[START]), (END, vocabulary[END])],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD,
        bos_token=START,
        eos_token=END,
        unk_token=UNKNOWN,
        model_max_length=MAX_TOKENS,
        clean_up_tokenization_spaces=False,
    )
