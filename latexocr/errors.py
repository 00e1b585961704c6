"""What can go wrong with a user's input. Every message says what was expected and what came."""


class LatexOCRError(ValueError):
    """Base of all errors that a user's input can cause. Safe to show to the user as it is."""


class ImageError(LatexOCRError):
    """The picture cannot be read: empty, blank, corrupt, unsupported or too large."""


class TexError(LatexOCRError):
    """The LaTeX cannot be parsed: unbalanced braces, an argument missing, an unknown construct."""


class RenderError(LatexOCRError):
    """The formula cannot be drawn: not parsed, too long, or beyond the renderer."""


class DataError(LatexOCRError):
    """A data set cannot be read: file missing, InkML broken, TSV line without its two columns."""


class ModelError(LatexOCRError):
    """The weights cannot be loaded: folder or repository missing, or not a LaTeX OCR model."""


class PartMissingError(ModelError):
    """A model has no such part: it comes with a recogniser only, say."""


class ExportError(LatexOCRError):
    """The formula cannot be written in the format asked for, or there is no such format."""
