"""One start from nothing, in a process of its own; benchmarks.latency runs it.

python -m benchmarks.cold_start PICTURE [MODEL]     prints seconds and megabytes as JSON
"""

import json
import sys
import time


def main() -> None:
    start = time.perf_counter()
    from latexocr import LatexOCR  # what is measured

    LatexOCR.__name__  # noqa: B018 -- the package loads itself when it is first looked at
    imported = time.perf_counter()
    ocr = LatexOCR(sys.argv[2] if len(sys.argv) > 2 else None)
    loaded = time.perf_counter()
    ocr.read(sys.argv[1], n_alternatives=0)
    first = time.perf_counter()
    ocr.read(sys.argv[1], n_alternatives=0)
    second = time.perf_counter()

    from benchmarks.stored import peak_memory_mb

    figures = {
        "import_s": imported - start,
        "load_s": loaded - imported,
        "first_reading_s": first - loaded,
        "second_reading_s": second - first,
        "peak_memory_mb": peak_memory_mb(),
    }
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
