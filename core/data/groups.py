"""Named groups of a dataset's samples, kept beside it; each is known by the samples in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from anndata import AnnData
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.data.checks.looked_at import list_names
from core.data.store import get_record
from core.errors import DamageError, InputError
from core.files import UNREADABLE, read_json, write_json
from core.home import dataset_folder
from core.identity import identify

GROUPS = "groups.json"
MOST_GROUPS = 100
LONGEST_NAME = 60
COLUMN = "group"
"""The column of `divide`, and with a number where the dataset has one of that name."""


class SampleGroup(BaseModel):
    """Samples under a name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=LONGEST_NAME)
    samples: tuple[str, ...] = Field(min_length=1)
    """Their ids, sorted."""

    @property
    def id(self) -> str:
        """16 hexadecimal digits that follow from the samples alone."""
        return identify("group", {"samples": self.samples})


class Groups(BaseModel):
    """groups.json of a dataset."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    groups: tuple[SampleGroup, ...] = Field((), max_length=MOST_GROUPS)


def list_groups(dataset: str) -> list[SampleGroup]:
    """The groups of a stored dataset, by name; raises DamageError for a damaged file."""
    path = dataset_folder(dataset) / GROUPS
    if not path.exists():
        return []
    try:
        found = Groups.model_validate(read_json(path))
    except (*UNREADABLE, ValidationError):
        raise DamageError(
            f"The groups of {get_record(dataset).name!r} ({GROUPS}) are damaged. Set them aside, "
            "to make groups anew: the page Data does that, and `genecanvas doctor --repair`."
        ) from None
    return sorted(found.groups, key=lambda group: group.name)


def keep_group(dataset: str, name: str, samples: Sequence[str]) -> SampleGroup:
    """Keep samples of a stored dataset under a name; the same samples are renamed.

    Raises:
        InputError: the name is blank or stands for other samples, there is no sample, or the
            dataset is gone.
    """
    name = " ".join(name.split())[:LONGEST_NAME]
    if not name:
        raise InputError("A group needs a name, such as what its samples have in common.")
    if not samples:
        raise InputError("A group needs samples: draw around some, or choose values of a column.")
    group = SampleGroup(name=name, samples=tuple(sorted(set(samples))))
    others = [one for one in list_groups(dataset) if one.id != group.id]
    if any(one.name == name for one in others):
        raise InputError(f"There is a group {name!r} of other samples. Choose another name.")
    if len(others) >= MOST_GROUPS:
        raise InputError(f"A dataset has at most {MOST_GROUPS} groups. Delete some first.")
    save_groups(dataset, [*others, group])
    return group


def find_group(dataset: str, text: str) -> SampleGroup:
    """The one group of a stored dataset of that name, or whose id begins so.

    Raises InputError where there is none, or several.
    """
    groups = list_groups(dataset)
    found = [group for group in groups if text in (group.name, group.id)]
    found = found or [group for group in groups if text and group.id.startswith(text)]
    if len(found) != 1:
        known = ", ".join(f"{group.name} ({group.id[:6]})" for group in groups) or "none"
        raise InputError(f"Expected one group {text!r}, found {len(found)}. Groups: {known}.")
    return found[0]


def find_pair(
    dataset: str, data: AnnData, one: str, other: str | None
) -> tuple[SampleGroup, SampleGroup]:
    """Two groups to compare, by name or id; without the other, one and all other samples.

    Raises InputError where a group isn't known, or no other sample is there.
    """
    first = find_group(dataset, one)
    return first, rest_of(data, first) if other is None else find_group(dataset, other)


def rest_of(data: AnnData, group: SampleGroup) -> SampleGroup:
    """All samples that are not in a group; raises InputError where there are none."""
    rest = sorted(set(data.obs_names) - set(group.samples))
    if not rest:
        raise InputError(
            f"All samples are in the group {group.name!r}: nothing to compare it with."
        )
    return SampleGroup(name="all others", samples=tuple(rest))


def delete_group(dataset: str, group: str) -> None:
    """Forget a group, by its id; its samples stay."""
    save_groups(dataset, [one for one in list_groups(dataset) if one.id != group])


def save_groups(dataset: str, groups: Sequence[SampleGroup]) -> None:
    """Keep a dataset's groups; raises InputError where the dataset is gone."""
    folder = dataset_folder(dataset)
    if not folder.exists():
        raise InputError(f"There is no dataset {dataset[:12]}… any more.")
    write_json(folder / GROUPS, Groups(groups=tuple(groups)).model_dump(mode="json"))


def check_apart(one: SampleGroup, other: SampleGroup) -> None:
    """Raise InputError where two groups are to be compared and a sample is in both."""
    both = sorted(set(one.samples) & set(other.samples))
    if both:
        raise InputError(
            f"{len(both)} sample{'s are' if len(both) > 1 else ' is'} in {one.name!r} and in "
            f"{other.name!r} ({list_names(both)}). Groups that are compared must share none."
        )


def divide(data: AnnData, one: SampleGroup, other: SampleGroup) -> tuple[AnnData, str]:
    """The samples of two groups as a dataset of their own, and its column that tells them apart.

    So a network can be trained on the groups as on any classes, and what it was trained on is in
    the dataset itself, whatever becomes of the groups.

    Args:
        data: a dataset that has all of the samples.
        one: a group.
        other: another that shares no sample with it.

    Returns:
        The samples in the order of `data`, and the name of the column that holds each one's group.

    Raises:
        InputError: a sample is in both groups, or isn't in the dataset.
    """
    check_apart(one, other)
    named = dict.fromkeys(one.samples, one.name) | dict.fromkeys(other.samples, other.name)
    if missing := sorted(set(named) - set(data.obs_names)):
        raise InputError(f"The dataset has no sample {list_names(missing)} of these groups.")
    rows = np.flatnonzero(data.obs_names.isin(list(named)))
    column, number = COLUMN, 2
    while column in data.obs:
        column, number = f"{COLUMN} {number}", number + 1
    chosen = data[rows].copy()
    chosen.obs[column] = [named[sample] for sample in chosen.obs_names]
    chosen.uns["source"] = f"groups {one.name} and {other.name} of a dataset"
    return chosen, column
