"""What lies in a file: packed or plain, told from its content, and read as a limited stream."""

import bz2
import codecs
import gzip
import io
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import pyarrow as pa

from core.errors import InputError

Progress = Callable[[float], None]
"""Told the share of a file that is read, 0 to 1."""

MAX_TEXT = 8_000_000_000
"""Largest text table in bytes, unpacked."""
MAX_LINE = 64_000_000
"""Longest line of a text table in bytes."""
MAX_MEMBERS = 20_000
"""Most files in a zip file."""
BLOCK = 32_000_000
"""Bytes of text that are turned into numbers at a time."""
UNPACKING = (OSError, EOFError, RuntimeError, NotImplementedError, zlib.error, lzma.LZMAError,
             zipfile.BadZipFile, tarfile.TarError, pa.ArrowException)  # fmt: skip
"""What the unpacking libraries raise for damaged, encrypted or unknown content."""
OPENERS: dict[bytes, Callable[[BinaryIO], BinaryIO]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
    b"\x28\xb5\x2f\xfd": lambda file: pa.CompressedInputStream(file, "zstd"),
}
PACKED_ENDINGS = re.compile(r"\.(gz|bz2|xz|zst|zip)$", re.IGNORECASE)


class PackedFile:
    """A stream of what is packed in a file, which knows how much of the file is read."""

    def __init__(self, content: BinaryIO, file: BinaryIO, size: int) -> None:
        self.read = content.read
        self._file, self._size = file, size

    def share(self) -> float:
        """The share of the file that is read, 0 to 1."""
        return 1.0 if self._file.closed else min(self._file.tell() / self._size, 1.0)


def read_start(path: Path, length: int = 600) -> bytes:
    """The first bytes of a file; raises InputError when there is none, or nothing in it."""
    if not path.is_file():
        raise InputError(f"There is no file {path}.")
    with path.open("rb") as file:
        start = file.read(length)
    if not start:
        raise InputError(f"{path.name} is empty. Expected a table with samples and genes.")
    return start


def list_members(path: Path) -> list[str]:
    """The files in a zip or tar file that may hold data: no folders, no hidden files.

    Raises InputError for a damaged archive, one with a zip file inside, or one with very many.
    """
    try:
        if zipfile.is_zipfile(path) or read_start(path, 2) == b"PK":
            with zipfile.ZipFile(path) as archive:
                found = [info.filename for info in archive.infolist() if not info.is_dir()]
        else:
            with tarfile.open(path) as archive:
                found = []
                for info in archive:
                    if info.isfile():
                        found.append(info.name)
                    if len(found) > MAX_MEMBERS:
                        break
    except Exception as error:  # a damaged archive can fail in any way
        raise _say_damaged(path.name, error) from None
    if len(found) > MAX_MEMBERS:
        raise InputError(
            f"{path.name} holds more than {MAX_MEMBERS:,} files; these can't be looked through."
        )
    names = [
        name
        for name in found
        if "__MACOSX" not in name and not PurePosixPath(name).name.startswith(".")
    ]
    nested = next((name for name in names if name.lower().endswith(".zip")), None)
    if nested:
        raise InputError(f"{path.name} holds another zip file ({nested}). Unpack that one first.")
    return names


def extract(path: Path, member: str, folder: Path) -> Path:
    """Copy one file out of a zip or tar file into `folder`, under its bare name.

    Raises InputError: the archive is damaged or encrypted, or the file is larger than allowed.
    """
    place = folder / PurePosixPath(member).name
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive, archive.open(member) as stream:
                copy_limited(stream, place, member)
        else:
            with tarfile.open(path) as archive:
                stream = archive.extractfile(member)
                if stream is None:
                    raise InputError(f"{path.name}: {member} is not a file.")
                copy_limited(stream, place, member)
    except InputError:
        raise
    except Exception as error:  # a damaged archive can fail in any way
        raise _say_damaged(path.name, error) from None
    return place


def copy_limited(stream: BinaryIO | PackedFile, place: Path, name: str) -> None:
    """Write a stream to a file; raises InputError when it is larger than allowed."""
    done = 0
    with place.open("wb") as out:
        while chunk := stream.read(1 << 20):
            done += len(chunk)
            if done > MAX_TEXT:
                raise InputError(
                    f"{name} holds more than {MAX_TEXT / 1e9:.0f} GB once it is unpacked."
                )
            out.write(chunk)


@contextmanager
def open_content(path: Path) -> Iterator[PackedFile]:
    """Open what is packed in a file (gz, bz2, xz, zst), or the file itself.

    Raises InputError when the content is damaged, also while it is being read.
    """
    start = read_start(path, 6)
    opener = next((make for magic, make in OPENERS.items() if start.startswith(magic)), None)
    try:
        with path.open("rb") as file, file if opener is None else opener(file) as content:
            yield PackedFile(content, file, path.stat().st_size)
    except UNPACKING as error:
        raise _say_damaged(path.name, error) from None


def iterate_blocks(stream: PackedFile, name: str) -> Iterator[bytes]:
    """The lines of a text in UTF-8 or Latin-1, about 32 MB of whole lines at a time.

    A byte order mark is removed, UTF-16 is recoded. Every block ends with a line's end.

    Raises:
        InputError: a line or the whole text is longer than allowed.
    """
    total, rest, newline = 0, b"", b""
    head = stream.read(4)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        whole = io.BufferedReader(_Joined(head, stream))
        stream = codecs.EncodedFile(whole, "utf-8", "utf-16", errors="replace")  # type: ignore[assignment]
        head = b""
    rest = head.removeprefix(codecs.BOM_UTF8)
    while chunk := stream.read(BLOCK):
        total += len(chunk)
        if total > MAX_TEXT:
            raise InputError(
                f"{name} holds more than {MAX_TEXT / 1e9:.0f} GB of text. Store it as Parquet or "
                "h5ad."
            )
        if not newline and b"\0" in chunk[:65536]:
            raise InputError(
                f"{name} is not a text table: it holds binary data. Expected CSV, TSV, Excel, "
                "Parquet, Feather, h5ad, MATLAB or an archive of these."
            )
        newline = newline or (b"\n" if b"\n" in chunk else b"\r")
        cut = chunk.rfind(newline) + 1
        if cut:
            yield rest + chunk[:cut]
            rest = chunk[cut:]
        else:
            rest += chunk
        if len(rest) > MAX_LINE:
            raise InputError(
                f"{name} has a line of more than {MAX_LINE / 1e6:.0f} MB, so it isn't a table of "
                "samples and genes."
            )
    if rest.strip():
        yield rest + (newline or b"\n")


def read_ahead(items: Iterator[bytes]) -> Iterator[bytes]:
    """The same items, each fetched by a thread while the one before it is worked on."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item


class _Joined(io.RawIOBase):
    """A stream with the bytes that were already taken from it before it."""

    def __init__(self, head: bytes, stream: PackedFile) -> None:
        self.head, self.stream = head, stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self.head or self.stream.read(len(buffer))
        self.head = b""
        buffer[: len(data)] = data
        return len(data)


def _say_damaged(name: str, error: Exception) -> InputError:
    if isinstance(error, RuntimeError) and "encrypted" in str(error):
        return InputError(f"{name} is encrypted. Unpack it with its password first.")
    return InputError(f"{name} can't be unpacked: {error}. Is it complete?")
