"""Expression rate as a metric of the `evaluate` library.

    metric = evaluate.load("trainer/metric_modules/exprate")
    metric.compute(predictions=[r"\\frac{1}{2}"], references=[r"{1 \\over 2}"])["exprate"]   # 100.0

Formulas are compared in the comparable form of latexocr.latex, as `python -m trainer.measure` does.
"""

from dataclasses import asdict

import datasets
import evaluate

from trainer.metrics import score_readings

DESCRIPTION = """Percent of formulas that are read without any mistake (exprate, with ci95, its
bootstrap interval), and with at most one and two token edits (le1, le2). Both sides are LaTeX; they
are brought to one spelling first. Truths that do not parse (unparsed) stay in the denominator."""
CITATION = """Mouchere et al., ICFHR 2014 Competition on Recognition of On-Line Handwritten
Mathematical Expressions (CROHME 2014)."""
INPUTS = """predictions: LaTeX as read, a list of texts. references: true LaTeX, as many texts."""


class ExpRate(evaluate.Metric):
    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=INPUTS,
            features=datasets.Features({"predictions": text, "references": text}),
        )

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, object]:
        score = asdict(score_readings(references, predictions))
        return {key: score[key] for key in ("exprate", "ci95", "le1", "le2", "n", "unparsed")}
