"""What is doubtful about spots, a sentence each."""

import numpy as np

from core.data.formats.pictures import TURNS
from core.data.notes import Finding
from core.tissue.spots import Tissue, darkness

WHITE = 0.05
"""Tiles that are less dark than this show hardly any tissue."""
BLACK = 8
"""Of 255, in red, green and blue: no tissue is that dark over a whole edge of its tile."""
SMALL = 0.5
"""Of an image's width and height: spots that all lie in so much of its upper left are doubtful."""
CLEARLY = 0.15
"""By how much a correlation has to be higher before another reading of coordinates is named."""


def check_tissue(tissue: Tissue) -> list[Finding]:
    """Look at blank and cut tiles, copies of sections, patients, and darkness against reads."""
    found = []
    dark = darkness(tissue.tiles)
    if (blank := dark < WHITE).any():
        found.append(
            _warn(
                "blank_tiles",
                f"{blank.sum():,} of {len(blank):,} tiles are nearly white: the spots stand beside "
                "the tissue, or the places don't fit the image.",
            )
        )
    if (cut := black_edges(tissue.tiles)).any():
        found.append(
            _warn(
                "black_edges",
                f"{cut.sum():,} of {len(cut):,} tiles have a black edge: they reach out of the "
                "image, and black counts as dark tissue. Leave these spots out, or cut smaller "
                "tiles.",
            )
        )
    found += _check_copies(tissue)
    patients = tissue.patients
    if not len(tissue.genes):
        return found
    if not patients:
        found.append(
            _warn(
                "no_patients",
                "No patient is named. Sections can be left out instead; that is too good "
                "where they are of the same patient.",
            )
        )
    elif len(patients) == 1:
        found.append(
            _warn(
                "one_patient",
                f"All sections are of one patient ({patients[0]}): nothing can be said about "
                "another one.",
            )
        )
    reads = tissue.spots["reads"].to_numpy(float)
    for section in tissue.sections:
        own = (tissue.spots["section"] == section).to_numpy()
        fit = correlate_reads(dark[own], reads[own])
        if fit < -CLEARLY:
            found.append(
                _warn(
                    "darkness",
                    f"Section {section}: spots on darker tissue have fewer reads (r = {fit:.2f}). "
                    "More cells are darker and give more reads: do the tiles belong to these "
                    "spots?",
                )
            )
    return found


def black_edges(tiles: np.ndarray) -> np.ndarray:
    """(spots,) whether one of a tile's four outermost rows or columns is black from end to end.

    Tissue never is; what reaches out of an image is filled with zeros by most programs.
    """
    dark = tiles.max(axis=3) <= BLACK
    edges = (dark[:, 0], dark[:, -1], dark[:, :, 0], dark[:, :, -1])
    return np.any([edge.all(axis=1) for edge in edges], axis=0)


def check_turns(section: str, dark: np.ndarray, reads: np.ndarray) -> list[Finding]:
    """Whether another reading of the coordinates fits a section's image better.

    Args:
        section: its name.
        dark: (TURNS, spots) how dark the image is, NaN outside.
        reads: (spots,).
    """
    fits = [correlate_reads(row, reads) for row in dark]
    best = int(np.argmax(fits))
    if fits[best] - fits[0] < CLEARLY:
        return []
    message = (
        f"Section {section}: the darkness of the tissue goes with the reads by r = {fits[0]:.2f} "
        f"as the places are given, and by r = {fits[best]:.2f} with {TURNS[best]}. Look at the "
        "section before you trust a result."
    )
    return [_warn("turned", message)]


def check_scale(section: str, places: np.ndarray, size: tuple[int, int]) -> list[Finding]:
    """Whether places (spots, 2) may be in pixels of a smaller image than one of that size."""
    across, down = places.max(axis=0) / size
    if max(across, down) > SMALL:
        return []
    message = (
        f"Section {section}: all spots lie in the upper left of its image, within {across:.0%} of "
        f"its width and {down:.0%} of its height. Are the places in pixels of a smaller version of "
        "it? Give that version, or multiply the places."
    )
    return [_warn("small_scale", message)]


def say_off_image(section: str, image: str, outside: np.ndarray) -> str:
    """The refusal of a section most of whose spots aren't on its image.

    Args:
        section: its name.
        image: the name of the image's file.
        outside: (TURNS, spots) whether a spot is off the image, by each reading of the places.
    """
    number, spots = outside[0].sum(), outside.shape[1]
    best = int(outside.mean(axis=1).argmin())
    other = "or of one of another size?"
    if outside[best].mean() < 0.1:
        other = f"with x to the right and y downwards? With {TURNS[best]} they would lie on it."
    return (
        f"{number} of {spots} spots of section {section} lie off its image {image}. Are the places "
        f"in pixels of this very image, {other}"
    )


def correlate_reads(dark: np.ndarray, reads: np.ndarray) -> float:
    """Correlation of darkness with the logarithm of reads; -1 where most spots are outside."""
    inside = np.isfinite(dark)
    if inside.mean() < 0.9 or inside.sum() < 3:
        return -1.0
    a, b = dark[inside], np.log1p(reads[inside])
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def _check_copies(tissue: Tissue) -> list[Finding]:
    """Sections whose counts, or whose tiles, are those of another one."""
    found, seen = [], {}
    for section in tissue.sections:
        own = (tissue.spots["section"] == section).to_numpy()
        looked_at = {"counts": tissue.counts, "tiles": tissue.tiles}
        for what in looked_at if len(tissue.genes) else ("tiles",):
            values = looked_at[what][own]
            key = what, hash(np.sort([hash(row.tobytes()) for row in values]).tobytes())
            if key in seen:
                message = (
                    f"Sections {seen[key]} and {section} have the same {what}. What is learned "
                    "from one is tested on its copy: leave one of them out."
                )
                found.append(
                    Finding(severity="error", code="copies", message=message, decisive=True)
                )
            seen.setdefault(key, section)
    return found


def _warn(code: str, message: str) -> Finding:
    return Finding(severity="warning", code=code, message=message)
