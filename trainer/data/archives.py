"""Files of a folder, a .tar, packed or not, or a .zip, by their path in it."""

import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from latexocr.errors import DataError

Wanted = Callable[[str], bool]


def file_names(path: Path) -> list[str]:
    """All of them. Raises: DataError if it is no folder and no archive."""
    return [name for name, _ in _entries(path)]


def has_ending(names: Iterable[str], ending: str) -> bool:
    return any(name.endswith(ending) for name in names)


def read_files(path: Path, wanted: Wanted) -> Iterator[tuple[str, bytes]]:
    """Name and content of those whose name is wanted, in the order of a folder's names or as the
    archive has them: seeking backwards in a packed one would unpack it from the start.

    Raises: DataError if it is no folder and no archive, or a broken one."""
    for name, read in _entries(path):
        if wanted(name):
            yield name, read()


def _entries(path: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    try:
        if path.is_dir():
            for file in sorted(p for p in path.rglob("*") if p.is_file()):
                yield file.relative_to(path).as_posix(), file.read_bytes
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for info in archive.infolist():
                    if not info.is_dir():
                        yield info.filename, lambda info=info: archive.read(info)
        else:
            with tarfile.open(path) as archive:
                for member in archive:
                    if member.isfile():
                        yield member.name, archive.extractfile(member).read
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: expected a folder, a .tar.gz or a .zip, got {error}") from error
