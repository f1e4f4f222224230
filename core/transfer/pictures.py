"""Which network's features tell labelled images apart: folders of images, kept, and compared."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from core.errors import DamageError, InputError
from core.evaluation.differences import mcnemar, paired_interval
from core.evaluation.intervals import interval
from core.files import UNREADABLE, read_json, write_atomic, write_json
from core.home import DATASET_ID, home, weights_folder
from core.transfer.enquiry import (
    Answered,
    Enquiry,
    Kind,
    Line,
    Preview,
    Progress,
    Reply,
    correct,
)
from core.transfer.methods.image_folder import (
    FIVE,
    HELD_OUT,
    IMAGE_NETWORKS,
    SECONDS,
    SHUFFLED,
    SIDE,
    Images,
    compare_networks,
    divide,
    find_copies,
    read_images,
    title_of,
)

MOST_IMAGES = 5_000
"""Images of a folder: each is opened in the process without rights, some tens a second."""
FEWEST_ASKED = 8
"""Images that must be asked about, to say anything."""
MOST_PATIENTS_BYTES = 20_000_000


class ImagesEnquiry(Enquiry):
    """Which networks that learned from photographs help to tell classes of images apart."""

    question: Literal["images"] = "images"
    images: str = Field(
        pattern=r"^[0-9a-f]{64}$", title="Images", description="SHA-256 of kept labelled images."
    )
    networks: tuple[str, ...] = Field(
        FIVE, min_length=1, title="Networks", description="Networks that are compared."
    )
    weights: dict[str, str] = Field(
        default_factory=dict, title="Weights",
        description="Network -> imagenet, file:NAME or scratch; ImageNet's unless named.",
    )  # fmt: skip
    seed: int = Field(0, ge=0, title="Seed", description="Of the division into learned and asked.")

    @field_validator("networks")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(IMAGE_NETWORKS.check(name) for name in names))

    @field_validator("weights")
    @classmethod
    def _named(cls, weights: dict[str, str]) -> dict[str, str]:
        for name, where in weights.items():
            IMAGE_NETWORKS.check(name)
            if where not in ("imagenet", "scratch") and not where.startswith("file:"):
                raise ValueError(f"weights are imagenet, scratch or file:NAME, not {where!r}")
        return weights

    def weights_of(self, network: str) -> str:
        """Where a network's weights are from."""
        return self.weights.get(network, "imagenet")


# --- Kept images ------------------------------------------------------------------------------


class KeptImages(NamedTuple):
    """Labelled images that are kept."""

    id: str
    name: str
    classes: dict[str, int]
    """Class -> images."""
    added: datetime


def keep_images(images: Images, name: str) -> str:
    """Keep images under the hash of all that they are, which is given back."""
    arrays = _arrays(images)
    kept = _hash(arrays)
    path = _path(kept)
    try:
        load_images(kept)
    except InputError:  # not there, or damaged
        write_atomic(path, lambda temporary: _write(temporary, arrays))
    if not path.with_suffix(".json").exists():
        counts = np.bincount(images.labels, minlength=len(images.classes)).tolist()
        write_json(path.with_suffix(".json"), {
            "name": name, "classes": dict(zip(images.classes, counts, strict=True)),
        })  # fmt: skip
    return kept


def load_images(kept: str) -> Images:
    """Kept images; raises InputError where they aren't here, DamageError where they changed."""
    path = _path(kept)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in ("names", "pixels", "classes", "labels",
                                                    "patients")}  # fmt: skip
    except FileNotFoundError:
        raise InputError(f"The images {kept[:12]} aren't kept here. Name their folder.") from None
    except (*UNREADABLE, KeyError, EOFError):
        arrays = {}
    if not arrays or _hash(arrays) != kept:
        raise DamageError(f"The images {_name(kept)!r} are damaged. Bring their folder again.")
    return Images(
        tuple(map(str, arrays["names"])), arrays["pixels"], tuple(map(str, arrays["classes"])),
        arrays["labels"], arrays["patients"],
    )  # fmt: skip


def list_images() -> list[KeptImages]:
    """Images that are kept, the latest first; damaged ones are passed over."""
    found = []
    for path in home().glob("pictures/*.json"):
        with suppress(OSError, ValueError, KeyError):
            note = read_json(path)
            when = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            found.append(KeptImages(path.stem, note["name"], note["classes"], when))
    return sorted(found, key=lambda one: one.added, reverse=True)


def read_patients(content: bytes) -> dict[str, str]:
    """CLASS/FILE -> patient, of a CSV or TSV with titles; raises InputError where it is none."""
    if len(content) > MOST_PATIENTS_BYTES:
        raise InputError(f"A table of patients has at most {MOST_PATIENTS_BYTES:,} bytes.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(
            "The table of patients is no text in UTF-8. Save it as CSV and bring it again."
        ) from None
    tab = "\t" in text.partition("\n")[0]
    rows = [row for row in csv.reader(io.StringIO(text), delimiter="\t" if tab else ",") if row]
    found = {row[0].strip(): row[1].strip() for row in rows[1:] if len(row) > 1 and row[1].strip()}
    if not found:
        raise InputError(
            "Expected a table of two columns with titles: the image (CLASS/FILE), then the "
            "patient; got none."
        )
    return found


def bring_folder(folder: Path, patients: bytes | None = None, name: str | None = None) -> str:
    """Read a folder of images that has a folder for each class, keep it, and give its id.

    Raises:
        InputError: as `read_images`; too many images; or a patient's image isn't in the folder.
    """
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.")
    count = sum(1 for _ in folder.glob("*/*"))
    if count > MOST_IMAGES:
        raise InputError(
            f"{folder.name} has {count:,} files; at most {MOST_IMAGES:,} are compared."
        )
    of = read_patients(patients) if patients is not None else None
    images = read_images(folder, of)
    if of is not None and not set(of) & set(images.names):
        raise InputError(
            f"No image of {folder.name} is in the table of patients. Its first column must name "
            f"images as CLASS/FILE, such as {images.names[0]}; it begins with {next(iter(of))}."
        )
    return keep_images(images, name or folder.name)


def _path(kept: str) -> Path:
    if not DATASET_ID.fullmatch(kept):
        raise InputError(f"Expected the hash of kept images, got {kept[:80]!r}.")
    return home() / "pictures" / f"{kept}.npz"


def _arrays(images: Images) -> dict[str, np.ndarray]:
    return {
        "names": np.array(images.names), "pixels": images.pixels,
        "classes": np.array(images.classes), "labels": images.labels.astype(np.int64),
        "patients": images.patients.astype(str),
    }  # fmt: skip


def _hash(arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        own = arrays[name]
        digest.update(f"{name} {own.shape} ".encode())
        digest.update("\0".join(own).encode() if own.dtype.kind == "U" else own.tobytes())
    return digest.hexdigest()


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


# --- The enquiry ------------------------------------------------------------------------------


def preview_images(enquiry: ImagesEnquiry) -> Preview:
    """What would be compared; raises InputError where it can't be."""
    images = load_images(enquiry.images)
    asked = divide(images, enquiry.seed) if _enough(images) else np.zeros(len(images.labels), bool)
    if asked.sum() < FEWEST_ASKED:
        raise InputError(
            f"There are {len(images.labels)} images of {len(set(images.patients))} patients in "
            f"{len(images.classes)} classes: too few to learn from three quarters and ask about "
            f"{FEWEST_ASKED} or more of the others. Each class needs {HELD_OUT} patients or more."
        )
    copies = find_copies(images.pixels)
    across = sum(bool(asked[one] != asked[other]) for one, other in copies)
    words = [
        f"{len(images.labels):,} images of {len(set(images.patients)):,} patients in "
        f"{len(images.classes)} classes ({', '.join(images.classes)}); {int(asked.sum()):,} are "
        f"asked about, the others learned from. Images are seen at {SIDE} pixels a side.",
    ]
    if copies:
        words.append(
            f"Pairs of images that look the same: {len(copies):,}, of them on both sides of the "
            f"division: {across:,}; of these the one that would be learned from is left out."
        )
    if fetched := [name for name in enquiry.networks if _is_fetched(enquiry, name)]:
        size = sum(IMAGE_NETWORKS[name].bytes for name in fetched) / 1e6
        words.append(
            f"ImageNet weights of {describe_networks(fetched)} are fetched first: {size:,.0f} MB."
        )
    seconds = 10 + sum(SECONDS[name] for name in enquiry.networks) * len(images.labels) * 2
    return Preview(seconds, tuple(words))


def _is_fetched(enquiry: ImagesEnquiry, network: str) -> bool:
    """Whether a network's file has to be downloaded."""
    file = weights_folder() / IMAGE_NETWORKS[network].file
    return enquiry.weights_of(network) == "imagenet" and not file.exists()


def _enough(images: Images) -> bool:
    """Whether each class has patients for both sides of the division."""
    return all(
        len(np.unique(images.patients[images.labels == number])) >= HELD_OUT
        for number in range(len(images.classes))
    )


def ask_images(enquiry: ImagesEnquiry, progress: Progress) -> Answered:
    """Compare networks by what a linear model makes of their features, on the same asked images.

    Each is set beside the first network with random weights, which has learned from nothing. The
    interval of a difference is Bonett and Price's, its p McNemar's (patients together). Control:
    shuffled labels, where the accuracy has to be that of guessing.
    """
    images = load_images(enquiry.images)
    first = enquiry.networks[0]
    asked = [(name, enquiry.weights_of(name)) for name in enquiry.networks]
    if (first, "scratch") not in asked:
        asked.append((first, "scratch"))
    told = iter(range(len(asked) + 2))
    found = compare_networks(
        images,
        asked,
        seed=enquiry.seed,
        progress=lambda doing: progress(next(told), len(asked) + 1),
    )
    progress(len(asked) + 1, len(asked) + 1)
    reference = title_of(first, "scratch")
    lines = [
        _line(title_of(*pair), found.right, reference, found.patients)
        for pair in asked
    ]  # fmt: skip
    table = found.table
    shuffled = table[table["network"] == SHUFFLED].iloc[0]
    lines.append(
        Line(of="", line="Labels shuffled", role="control", score=float(shuffled["accuracy"]),
             note=f"mean of ten shufflings, by {title_of(*asked[0])}")
    )  # fmt: skip
    shares = np.bincount(images.labels, minlength=len(images.classes)) / len(images.labels)
    copies = pd.DataFrame(
        [(pair.one, pair.other, pair.across, pair.other_class) for pair in found.copies],
        columns=["image", "copy", "on both sides", "other class"],
    )
    notes = []
    if found.left_out:
        notes.append(
            "Images that are not learned from, because a copy of them is asked about: "
            f"{found.left_out}."
        )
    if wrong := int(copies["other class"].sum()):
        notes.append(f"Pairs of copies that bear different labels: {wrong}. Look at them.")
    reply = Reply(
        title=f"Networks on {_name(enquiry.images)}", measure="accuracy",
        chance=float(shares.max()),
        items=f"{len(found.patients):,} asked images of {len(set(found.patients)):,} patients",
        lines=correct(lines),
        tables={
            "networks": "Accuracy, and recall, precision and F1 as means over classes; seconds.",
            "copies": "Images that look the same.",
        },
        notes=(
            *notes, "Networks stay as they are and a linear model of their features is fitted; "
            "fine-tuned ones may do better.",
        ),
    )  # fmt: skip
    return Answered(reply, {"networks": table, "copies": copies})


def _line(
    name: str, right: dict[str, np.ndarray], reference: str, patients: np.ndarray
) -> Line:  # fmt: skip
    own, base = right[name], right[reference]
    low, high = interval(int(own.sum()), len(own))
    line = Line(of="", line=name, role="reference", score=float(own.mean()), low=low, high=high)
    if name == reference:
        return line
    gain_low, gain_high = paired_interval(own, base, patients)
    return line.model_copy(
        update={
            "role": "method", "gain": float(own.mean() - base.mean()), "gain_low": gain_low,
            "gain_high": gain_high, "p": mcnemar(own, base, patients),
        }
    )  # fmt: skip


def _name(kept: str) -> str:
    return next((one.name for one in list_images() if one.id == kept), kept[:12])


def _bring(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Keep the folder that `images` names, with the table that `patients` names."""
    found = dict(document)
    place, patients = found.get("images"), found.pop("patients", None)
    if isinstance(place, str) and not DATASET_ID.fullmatch(place):
        table = None
        if patients is not None:
            path = folder / str(patients)
            if not path.is_file():
                raise InputError(f"There is no file {path}.")
            table = path.read_bytes()
        found["images"] = bring_folder(folder / place, table)
    return found


def describe_networks(networks: Sequence[str]) -> str:
    """Networks in a few words."""
    return ", ".join(IMAGE_NETWORKS[name].title for name in networks)


PICTURES = Kind(
    name="images",
    title="Networks on a folder of images",
    help="Compares networks that learned from photographs on any folder of labelled images: a "
    "linear model of each one's features, on the same held-out patients. Copies on both sides of "
    "the division are told.",
    reference="Jaradat et al. 2023, International Journal of Environmental Research and Public "
    "Health 20:4422",
    departs="Networks aren't fine-tuned: a tuned linear model of their features takes seconds and "
    "not hours of a graphics card. Images are divided by patient, nothing is augmented, copies are "
    "left out, and random weights and shuffled labels are always beside.",
    spec=ImagesEnquiry,
    datasets=lambda enquiry: (),
    describe=lambda enquiry: describe_networks(enquiry.networks),
    preview=preview_images,
    ask=ask_images,
    bring=_bring,
)
