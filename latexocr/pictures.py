"""Decoding what a person hands in, safely: bytes, paths, PIL pictures and arrays to upright RGB.

Sizes are checked before anything is decoded, and whatever a decoder trips over becomes an
ImageError.

    python -c "from latexocr.pictures import load_picture; load_picture('photo.jpg').show()"
"""

from __future__ import annotations

import io
import warnings
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from latexocr.errors import ImageError

MAX_BYTES = 50_000_000  # of an encoded picture
MAX_PIXELS = 100_000_000  # of a decoded picture; 12-megapixel phones have 12 of these 100
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")  # those that run no other program
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")

Source = bytes | str | Path | Image.Image | np.ndarray


def load_picture(source: Source) -> Image.Image:
    """Decode a picture and bring it to upright RGB on white paper.

    Args: source is an encoded picture as bytes, the path of one, a PIL picture of any mode, or an
        array: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), uint8, bool, or float from 0 to 1.
    Returns: an RGB picture; its EXIF rotation is applied, see-through parts are paper, and of
        several frames it is the first. A drawing in light strokes on nothing turns black on white.
    Raises: ImageError if it is no such picture, cannot be decoded, is missing, empty or too large.
    """
    if isinstance(source, np.ndarray):
        picture = _from_array(source)
    elif isinstance(source, Image.Image):
        picture = source
    elif isinstance(source, str | Path):
        picture = _open_bytes(_read_file(Path(source)))
    elif isinstance(source, bytes | bytearray | memoryview):
        picture = _open_bytes(bytes(source))
    else:
        raise ImageError(
            "expected a picture as bytes, a path, a PIL picture or an array, "
            f"got {type(source).__name__}"
        )
    _check_pixels(picture)
    try:
        return _on_paper(_upright(picture))
    except ImageError:
        raise
    except Exception as error:  # decoders fail in many ways on hostile bytes, all mean the same
        raise ImageError(f"expected a complete picture, but decoding failed: {error}") from error


def _read_file(path: Path) -> bytes:
    try:
        n_bytes = path.stat().st_size
        if n_bytes > MAX_BYTES:
            raise _too_many_bytes(n_bytes)
        return path.read_bytes()
    except ImageError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        raise ImageError(f"expected the path of a picture, but {path}: {error}") from error


def _too_many_bytes(n_bytes: int) -> ImageError:
    return ImageError(
        f"expected a picture of at most {MAX_BYTES / 1e6:.0f} MB, got {n_bytes / 1e6:.1f} MB"
    )


def _open_bytes(data: bytes) -> Image.Image:
    if not data:
        raise ImageError("expected a picture, got an empty file")
    if len(data) > MAX_BYTES:
        raise _too_many_bytes(len(data))
    formats = FORMATS
    if data[4:8] == b"ftyp" and data[8:12] in HEIC_BRANDS:
        _learn_heic()
        formats = ("HEIF",)
    try:
        with warnings.catch_warnings():
            # Only the header is read here; _check_pixels decides before anything is decoded.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(io.BytesIO(data), formats=formats)
    except Image.DecompressionBombError as error:
        raise ImageError(f"expected at most {MAX_PIXELS / 1e6:.0f} megapixels: {error}") from error
    except UnidentifiedImageError as error:
        raise ImageError(
            f"expected a picture as {', '.join(formats)}, got {len(data)} bytes "
            f"that are none of these, or broken (they start with {data[:8]!r})"
        ) from error
    except Exception as error:  # header parsers fail in many ways on hostile bytes
        raise ImageError(f"expected a picture, but its header is broken: {error}") from error


@cache
def _learn_heic() -> None:
    """Let PIL read what iPhones write. The package for it brings GPL code, so it is not required.

    Raises: ImageError if it is not installed."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        raise ImageError(
            f"expected a picture as {', '.join(FORMATS)}, got HEIC, which iPhones write: save it "
            "as JPEG, or install what reads it (pip install pillow-heif)"
        ) from None
    register_heif_opener()


def _check_pixels(picture: Image.Image) -> None:
    width, height = picture.size
    if not 0 < width * height <= MAX_PIXELS:
        raise ImageError(
            f"expected a picture of 1 to {MAX_PIXELS / 1e6:.0f} million pixels, "
            f"got {width} x {height}"
        )


def _from_array(array: np.ndarray) -> Image.Image:
    is_picture = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))
    is_float = array.dtype.kind == "f"
    if not is_picture or not (is_float or array.dtype in (np.uint8, bool)) or array.size == 0:
        raise ImageError(
            "expected an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8, bool or float, "
            f"got {array.dtype} of shape {array.shape}"
        )
    if is_float and not (array.min() >= 0 and array.max() <= 1):  # NaN fails both
        raise ImageError(
            f"expected float values from 0 to 1, got {array.min():g} to {array.max():g}"
        )
    if array.dtype != np.uint8:
        array = np.rint(array.astype(np.float32) * 255).astype(np.uint8)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    return Image.fromarray(np.ascontiguousarray(array))


def _upright(picture: Image.Image) -> Image.Image:
    picture.load()
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # a broken EXIF block says nothing about the pixels
        return picture


def _on_paper(picture: Image.Image) -> Image.Image:
    """RGB, with what is see-through painted white; or, if that hides the strokes, alpha as ink."""
    if picture.mode[0] in "IF":
        picture = _to_8_bit(picture)
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    picture = picture.convert("RGBA")
    paper = Image.new("RGBA", picture.size, "white")
    painted = Image.alpha_composite(paper, picture).convert("RGB")
    alpha = np.asarray(picture)[..., 3]
    n_drawn = np.count_nonzero(alpha > 127)
    n_seen = np.count_nonzero(np.asarray(painted.convert("L")) < 208)
    # A white drawing on a see-through sheet would vanish; a white card with text on it would not.
    if 0 < n_drawn < alpha.size / 2 and n_seen < 0.05 * n_drawn:
        return Image.fromarray(255 - alpha).convert("RGB")
    return painted


def _to_8_bit(picture: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits, integer or float, to 8: PIL's own conversion clips at 255."""
    values = np.nan_to_num(np.asarray(picture).astype(np.float32))
    top = next((t for t in (1, 255, 65535) if values.max() <= t), values.max())
    if picture.mode != "F" and top == 1:
        top = 255
    return Image.fromarray(np.clip(values * (255 / top), 0, 255).astype(np.uint8))
