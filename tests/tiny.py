"""A recogniser and a data set small enough for tests. All ink here is made by the tests
themselves."""

from pathlib import Path

import numpy as np

from latexocr.detector import Detector, DetectorConfig, build_detector
from latexocr.modeling import RecognizerConfig, RecognizerModel, build_model
from latexocr.recognizer import Recognizer
from latexocr.tokenizer import build_tokenizer

TINY = {
    "stage_widths": (8, 8, 8),
    "stage_blocks": (1, 1, 1),
    "hidden_size": 32,
    "attention_layers": 1,
    "attention_heads": 4,
    "ffn_size": 32,
    "decoder_layers": 1,
    "decoder_ffn_size": 32,
}

TINY_DETECTOR = {
    "widths": (16, 16, 16, 16, 16),
    "blocks": (1, 1, 1, 1),
    "pyramid": 8,
    "head": 8,
    "roi_height": 3,
    "roi_width": 5,
}


def tiny_model(seed: int = 0, **changes: object) -> RecognizerModel:
    """Random weights, batch statistics included: at their start these would hide mistakes."""
    import torch

    torch.manual_seed(seed)
    model = build_model(RecognizerConfig(vocab_size=len(build_tokenizer()), **(TINY | changes)))
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2.0)
            torch.nn.init.uniform_(module.bias, -0.5, 0.5)
    return model.eval()


def tiny_recognizer(seed: int = 0) -> Recognizer:
    return Recognizer(tiny_model(seed), build_tokenizer(), "cpu")


def tiny_detector(seed: int = 0, **changes: object) -> Detector:
    """Random weights that float16 can hold, so that they come back from a file unchanged."""
    import torch

    torch.manual_seed(seed)
    config = DetectorConfig(**(TINY_DETECTOR | changes))
    model = build_detector(config)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 2.0)
            torch.nn.init.uniform_(module.bias, -0.5, 0.5)
    return Detector(model.half().float(), config, "cpu")


STROKES = {  # letters as polylines in a box of 100 x 100
    "l": [[(50, 0), (50, 100)]],
    "x": [[(0, 0), (100, 100)], [(100, 0), (0, 100)]],
    "+": [[(50, 0), (50, 100)], [(0, 50), (100, 50)]],
    "L": [[(0, 0), (0, 100), (80, 100)]],
    "T": [[(0, 0), (100, 0)], [(50, 0), (50, 100)]],
}


def inkml(letters: str, shift: float = 0.0) -> str:
    """InkML of letters written beside each other, segmented by symbol."""
    traces, groups, n = [], [], 0
    for place, letter in enumerate(letters):
        views = []
        for stroke in STROKES[letter]:
            points = ", ".join(f"{x + shift + 140 * place} {y + shift}" for x, y in stroke)
            traces.append(f'<trace id="{n}">{points}</trace>')
            views.append(f'<traceView traceDataRef="{n}"/>')
            n += 1
        groups.append(
            f'<traceGroup><annotation type="truth">{letter}</annotation>'
            f"{''.join(views)}</traceGroup>"
        )
    return (
        '<ink xmlns="http://www.w3.org/2003/InkML">'
        f'<annotation type="truth">${letters}$</annotation>{"".join(traces)}'
        f"<traceGroup>{''.join(groups)}</traceGroup></ink>"
    )


def write_inks(folder: Path, n: int = 24, seed: int = 0) -> Path:
    """A folder of n formulas of one to four letters."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        letters = "".join(rng.choice(list(STROKES), rng.integers(1, 5)))
        (folder / f"ink_{i:03d}.inkml").write_text(inkml(letters, shift=float(i)))
    return folder
