"""Token error rate of LaTeX as a metric of the `evaluate` library.

    metric = evaluate.load("trainer/metric_modules/cer")
    metric.compute(predictions=["x + y"], references=["x - y"])["cer"]   # 33.33

The Hub has a metric of the same name, which counts characters; in formulas a character says little:
`\\alpha` is one symbol. Formulas are compared in the comparable form of latexocr.latex.
"""

import datasets
import evaluate

from trainer.metrics import score_readings

DESCRIPTION = """Token edits (insertions, deletions, substitutions) of all formulas together, in
percent of their true tokens. Both sides are LaTeX; they are brought to one spelling first."""
CITATION = """Gervais et al. 2024, MathWriting, arXiv:2404.10690, which reports it by this name."""
INPUTS = """predictions: LaTeX as read, a list of texts. references: true LaTeX, as many texts."""


class TokenErrorRate(evaluate.Metric):
    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=INPUTS,
            features=datasets.Features({"predictions": text, "references": text}),
        )

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, object]:
        score = score_readings(references, predictions)
        return {"cer": score.cer, "n": score.n}
