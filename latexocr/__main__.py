"""The command line as a module: python -m latexocr read formula.png"""

import sys

from latexocr.cli import main

if __name__ == "__main__":
    sys.exit(main())
