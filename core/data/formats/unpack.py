"""What lies in a file: packed or plain, told from its content, and read as a limited stream."""

import bz2
import codecs
import gzip
import io
import lzma
import re
import stat
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
ALWAYS_UNPACKED = 100_000_000
MAX_RATIO = 400
"""What a file may unpack to: so many bytes, and so many times its size."""
MAX_MEMBERS = 20_000
"""Most files in an archive."""
MAX_NAME = 200
"""Longest name of a file in an archive, in bytes; file systems take 255."""
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

    def __init__(self, content: BinaryIO, file: BinaryIO, path: Path) -> None:
        self._content, self._file, self._name = content, file, path.name
        self._size = path.stat().st_size
        self._left = self._most = most_unpacked(self._size)

    def read(self, length: int) -> bytes:
        """The next bytes; raises InputError when more come than a file of this size may hold."""
        data = self._content.read(length)
        self._left -= len(data)
        if self._left < 0 and self._content is not self._file:
            raise say_too_large(self._name, self._most)
        return data

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


class Archive:
    """A zip or tar file, packed or not: its files, each copied out when it is asked for.

    Folders, links, devices and hidden files are none of its files. All that is copied out of it
    counts together, with what it unpacks to itself.
    """

    def __init__(self, path: Path, folder: Path) -> None:
        """Open it; what is copied goes below `folder`.

        Raises InputError for a damaged archive, a file in it whose name isn't safe, another zip
        file inside, or very many files.
        """
        self.name, self._folder = path.name, folder
        self._left = most_unpacked(path.stat().st_size)
        self._copied = 0
        try:
            if zipfile.is_zipfile(path) or read_start(path, 2) == b"PK":
                self._zip: zipfile.ZipFile | None = zipfile.ZipFile(path)
                found = [(info.filename, info) for info in self._zip.infolist() if _is_file(info)]
            else:
                self._zip = None
                plain = folder / "archive.tar"
                with open_content(path) as stream:
                    self._copy(stream, plain, path.name)
                self._tar = tarfile.open(plain)  # noqa: SIM115 (open as long as this is)
                found = []
                for info in self._tar:
                    if info.isfile():
                        found.append((info.name, info))
                    if len(found) > MAX_MEMBERS:
                        break
        except InputError:
            raise
        except Exception as error:  # a damaged archive can fail in any way
            raise _say_damaged(path.name, error) from None
        if len(found) > MAX_MEMBERS:
            raise InputError(
                f"{path.name} holds more than {MAX_MEMBERS:,} files; these can't be looked through."
            )
        self._infos = {
            name: info
            for name, info in found
            if "__MACOSX" not in name and not PurePosixPath(name).name.startswith(".")
        }
        self.names = list(self._infos)
        """Its files, as the archive names them."""
        for name in self.names:
            _check_member(path.name, name)

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        (self._zip or self._tar).close()

    def extract(self, name: str) -> Path:
        """Copy one file out, under its bare name in a folder of its own.

        Raises InputError: there is no such file, it is damaged or encrypted, or larger than it
        may be.
        """
        if name not in self._infos:
            raise InputError(f"{self.name} holds no file {name!r}.")
        self._copied += 1
        place = self._folder / str(self._copied) / PurePosixPath(name).name
        place.parent.mkdir()
        info = self._infos[name]
        try:
            stream = self._zip.open(info) if self._zip else self._tar.extractfile(info)
            with stream:
                self._copy(stream, place, f"{self.name}, {name}")
        except InputError:
            raise
        except Exception as error:  # a damaged archive can fail in any way
            raise _say_damaged(self.name, error) from None
        return place

    def _copy(self, stream: BinaryIO | PackedFile, place: Path, name: str) -> None:
        copy_limited(stream, place, name, self._left)
        self._left -= place.stat().st_size


def _is_file(info: zipfile.ZipInfo) -> bool:
    """Whether a member is a plain file, as Unix and other systems write it down."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    return not info.is_dir() and kind in (0, stat.S_IFREG)


def _check_member(archive: str, name: str) -> None:
    """Refuse a name that can't be one here, and zip files; where a name points to is never used."""
    bare = PurePosixPath(name).name
    if not bare.isprintable():
        raise InputError(
            f"{archive} holds a file whose name can't be printed ({name[:80]!r}). Rename it."
        )
    if len(bare.encode()) > MAX_NAME:
        raise InputError(
            f"{archive} holds a file whose name is longer than {MAX_NAME} bytes ({name[:80]}…). "
            "Rename it."
        )
    if bare.lower().endswith(".zip"):
        raise InputError(f"{archive} holds another zip file ({name}). Unpack that one first.")


def most_unpacked(size: int) -> int:
    """Bytes that a file of `size` bytes may hold once it is unpacked."""
    return min(MAX_TEXT, ALWAYS_UNPACKED + MAX_RATIO * size)


def say_too_large(name: str, most: int) -> InputError:
    """The refusal of a file that unpacks to more than `most` bytes."""
    return InputError(
        f"{name} holds more than {most / 1e9:.1f} GB once it is unpacked, more than a file of its "
        "size may. Unpack it yourself if that is right."
    )


def copy_limited(stream: BinaryIO | PackedFile, place: Path, name: str, most: int) -> None:
    """Write a stream to a file; raises InputError when it is larger than `most` bytes."""
    done = 0
    with place.open("wb") as out:
        while chunk := stream.read(1 << 20):
            done += len(chunk)
            if done > most:
                raise say_too_large(name, most)
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
            yield PackedFile(content, file, path)
    except UNPACKING as error:
        raise _say_damaged(path.name, error) from None


def iterate_blocks(stream: PackedFile, name: str) -> Iterator[bytes]:
    """The lines of a text in UTF-8, Windows-1252 or Latin-1, about 32 MB of whole lines at a time.

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
