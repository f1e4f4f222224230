"""Reading a model folder that somebody sent, in a process without rights to anything else.

The folder, or a zip file of it, is copied, checked in all its parts (`core.predict.checked`), and
written anew in the form in which runs are kept. The process gives up the network, all files but
these, and more memory and time than they need. What is wrong is one sentence on standard error.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import sys
import zipfile
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from core.confine import alone_with
from core.data.formats.unpack import copy_limited, most_unpacked
from core.download import hash_file
from core.files import unzipping, write_json
from core.predict.checked import (
    check_fold,
    check_weights,
    need,
    read_document,
    read_genes,
    read_reference,
    read_scores,
    read_spec,
    wrong,
)
from core.predict.folder import CARD, DOCUMENT, GENES, MOST_FOLDS, REFERENCE, WEIGHTS, Document
from core.predict.reference import Reference
from core.runs.fitted import read_fitted
from core.runs.result import Kept, RunResult, hash_kept
from core.runs.source import LAYOUT, PREPROCESSOR
from core.runs.spec import RunSpec

MOST_BYTES = {
    DOCUMENT: 4_000_000,
    CARD: 1_000_000,
    "genes": 250_000_000,
    "model": 2_000_000_000,
    "reference": 1_000_000_000,
}
"""Of a file, by its name or by how it begins."""
MOST_TOGETHER = 8_000_000_000
MOST_FILES = 3 * MOST_FOLDS + 20
MEMORY = 16 * 2**30
SECONDS = 300
OF_FOLD = re.compile(r"(genes|model|reference)-[1-9]\d?\.(csv|safetensors)")
KEPT, SENT = "kept", "sent"
"""Folders of what is written anew, and of the copy that is checked."""


def main() -> None:
    """Read the folder that standard input names, and print the id under which it is kept."""
    asked = json.load(sys.stdin)
    path, place = Path(asked["path"]), Path(asked["place"])
    too_much = f"more than {MEMORY / 2**30:.0f} GB of memory"
    with alone_with(
        path, place, "model folder", memory=MEMORY, too_much=too_much,
        written=max(MOST_BYTES.values()), seconds=SECONDS,
    ):  # fmt: skip
        print(open_folder(path, place))


def open_folder(path: Path, place: Path) -> str:
    """Check a model folder, or a zip file of one, and leave what is kept of it in `place/kept`.

    Args:
        path: the folder or zip file.
        place: an empty folder of one's own.

    Returns:
        The id: 16 hexadecimal digits of the SHA-256 of its model.json, which holds those of all
        other files.

    Raises:
        InputError: a file is missing, damaged, too large, or not what model.json says it is, in
            one sentence that names it.
    """
    sent, kept = place / SENT, place / KEPT
    sent.mkdir()
    kept.mkdir()
    _copy(path, sent)
    document = read_document(sent)
    model = hashlib.sha256((sent / DOCUMENT).read_bytes()).hexdigest()[:16]
    spec = read_spec(document)
    result = read_scores(document, spec, model)
    for number in range(1, len(document.folds) + 1):
        _keep_fold(sent, kept, number, document, spec, result.classes)
    _keep_rest(sent, kept, document, spec, result)
    for number in range(1, len(document.folds) + 1):
        _ask_once(kept, number)
    return model


def _keep_fold(
    sent: Path, kept: Path, number: int, document: Document, spec: RunSpec, classes: list[str]
) -> None:
    """Check a fold's files, and write them as a run keeps them; `number` is from 1."""
    record, folder = document.folds[number - 1], kept / "folds" / str(number - 1)
    folder.mkdir(parents=True)
    check_fold(record, number, spec, classes)
    prepared, layout = read_genes(sent / GENES.format(number), record, document.scale, spec)
    prepared.save(folder / PREPROCESSOR)
    layout.save(folder / LAYOUT)
    check_weights(sent / WEIGHTS.format(number), spec, len(classes))
    shutil.copyfile(sent / WEIGHTS.format(number), folder / "model.safetensors")
    reference = read_reference(sent / REFERENCE.format(number), prepared, len(classes))
    reference.save(kept / "reference" / f"{number - 1}.npz")
    nothing = {
        "parts": {"train": [], "validation": [], "test": []}, "plain": {}, "learned_from": [],
        "history": [], "kept_epoch": 1,
    }  # fmt: skip
    shares = {} if record.shares is None else {"shares": record.shares}
    write_json(folder / "fold.json", {**nothing, **record.scale, **shares})


def _keep_rest(
    sent: Path, kept: Path, document: Document, spec: RunSpec, result: RunResult
) -> None:
    """Write the specification, the name, the card, and the result, which answers for all files."""
    try:
        card = (sent / CARD).read_text(encoding="utf-8") if (sent / CARD).exists() else ""
    except UnicodeDecodeError:
        raise wrong(CARD, "is no text in UTF-8") from None
    (kept / CARD).write_text(card, encoding="utf-8")
    write_json(kept / "spec.json", spec.model_dump(mode="json"))
    write_json(kept / "listing.json", {"name": document.name})
    files = hash_kept(kept)
    for path in sorted(kept.glob("reference/*.npz")):
        files[path.relative_to(kept).as_posix()] = hash_file(path, "sha256")
    result = result.model_copy(update={"files": files})
    write_json(kept / "result.json", result.model_dump(mode="json"))


def _ask_once(kept: Path, number: int) -> None:
    """Ask a network about the average sample: what passed every check must work together too."""
    import torch

    fitted = read_fitted(Kept("the model", kept, ""), number - 1)
    reference = Reference.load(kept / "reference" / f"{number - 1}.npz")
    [(maps, scores)] = fitted.look(fitted.preprocessor.mean[None], torch.device("cpu"))
    features, expected = sum(part.shape[1] for part in maps), len(reference.novelty.axes)
    need(features == expected, REFERENCE.format(number),
         f"is of {expected:,} features, and the network has {features:,}")  # fmt: skip
    finite = np.isfinite(scores).all() and np.isfinite(fitted.read_scores(scores)).all()
    need(finite, WEIGHTS.format(number), "gives answers that are no numbers")


# --- copying ----------------------------------------------------------------------------------


def _copy(path: Path, sent: Path) -> None:
    """Copy the files of a folder or zip file; what is checked is the copy."""
    need(not path.is_symlink(), path.name, "is a link")
    if path.is_dir():
        _copy_folder(path, sent)
    else:
        need(path.is_file() and zipfile.is_zipfile(path), path.name,
             "is neither a folder nor a zip file of one")  # fmt: skip
        _unpack(path, sent)


def _most_bytes(name: str, size: int) -> int:
    """What a file of that name may hold; refuses other names, and files that announce more."""
    known = name in MOST_BYTES or OF_FOLD.fullmatch(name)
    need(known, repr(name[:80]), "is no file of a model folder")
    most = MOST_BYTES[name if name in MOST_BYTES else name.partition("-")[0]]
    need(size <= most, name, f"has {size:,} bytes, more than the {most:,} that it may have")
    return most


def _copy_folder(path: Path, sent: Path) -> None:
    left = MOST_TOGETHER
    entries = [entry for entry in os.scandir(path) if not entry.name.startswith(".")]
    need(len(entries) <= MOST_FILES, path.name, f"holds more than {MOST_FILES} files")
    for entry in sorted(entries, key=lambda entry: entry.name):
        plain = entry.is_file(follow_symlinks=False)
        need(plain, repr(entry.name[:80]), "is a link or a folder, not a file")
        most = min(_most_bytes(entry.name, entry.stat(follow_symlinks=False).st_size), left)
        handle = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            copy_limited(file, sent / entry.name, entry.name, most)
        left -= (sent / entry.name).stat().st_size


def _unpack(path: Path, sent: Path) -> None:
    """The same out of a zip file, whose files may stand in one folder."""
    left, folders = min(most_unpacked(path.stat().st_size), MOST_TOGETHER), set()
    with unzipping(partial(wrong, path.name)), zipfile.ZipFile(path) as packed:
        need(len(packed.infolist()) <= MOST_FILES, path.name,
             f"holds more than {MOST_FILES} files")  # fmt: skip
        for info in packed.infolist():
            place, shown = PurePosixPath(info.filename), repr(info.filename[:80])
            outside = place.is_absolute() or ".." in place.parts or "\\" in info.filename
            need(not outside, shown, "is a name that leads out of the folder")
            kind = stat.S_IFMT(info.external_attr >> 16)
            need(kind in (0, stat.S_IFREG, stat.S_IFDIR), shown, "is a link, not a file")
            if info.is_dir() or any(p.startswith((".", "__MACOSX")) for p in place.parts):
                continue
            most = min(_most_bytes(place.name, info.file_size), left)
            need(info.file_size <= most, shown, "unpacks to more than a file of this size may")
            folders.add(place.parent)
            need(len(folders) == 1 and len(place.parts) <= 2, shown, "is in another folder")
            need(not (sent / place.name).exists(), shown, "stands there twice")
            with packed.open(info) as stream:
                copy_limited(stream, sent / place.name, place.name, most)
            left -= (sent / place.name).stat().st_size


if __name__ == "__main__":
    main()
