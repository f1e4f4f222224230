"""In which settings runs differ, and how these are said in few words."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.runs.outcome import Outcome
from core.runs.spec import RunSpec, say_option, setting_title

UNUSED = "–"
"""The value of a setting that says nothing for a run, such as the epochs of a solved head."""
SAID_ALONE = ("cohort.where", "cohort.merge", "network.backbone")
"""Settings whose values say by themselves what they are of."""
COUNTED = ("training.epochs", "preparation.genes")
"""Settings that are numbers of what their title says."""
LISTED = 3
"""Names of a list that are all said."""


def control_of(spec: RunSpec) -> str | None:
    """What makes a run a control, which is never the best network; None for the others."""
    if spec.permute_labels:
        return "permuted labels"
    return "random layout" if spec.layout.name == "random" else None


def without_controls(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The runs that aren't controls; all of them where there is nothing else."""
    kept = [outcome for outcome in outcomes if control_of(outcome.spec) is None]
    return kept or list(outcomes)


def split_settings(settings: Sequence[dict[str, Any]]) -> tuple[list[str], dict[str, Any]]:
    """Names of the settings in which runs differ, and those that all share."""
    names = dict.fromkeys(name for own in settings for name in own)
    equal = {
        name: value
        for name, value in settings[0].items()
        if all(other.get(name, UNUSED) == value for other in settings)
    }
    return [name for name in names if name not in equal], equal


def name_setup(spec: RunSpec, differing: Sequence[str]) -> str:
    """A setup in few words: its network, and what else sets it apart from the others."""
    control = control_of(spec)
    said = ["network.backbone", *(["layout.name"] if control == "random layout" else [])]
    own = [name for name in differing if name not in said]
    words = [*([control] if control else []), *say_settings(spec, own)]
    return " · ".join([spec.network.record.title, *words])


def name_settings(outcomes: Sequence[Outcome]) -> list[str]:
    """The settings that tell setups apart; a layout that only makes a control is its word."""
    differing, _ = split_settings([outcome.settings for outcome in outcomes])
    real, _ = split_settings([outcome.settings for outcome in without_controls(outcomes)])
    return [name for name in differing if name != "layout.name" or name in real]


def say_settings(spec: RunSpec, names: Sequence[str]) -> list[str]:
    """A few words for each setting but seed and permuted labels; those of a split are one."""
    flat, words = spec.settings, []
    for name in names:
        if name.startswith("split."):
            words.append(spec.split.title())
        elif name in flat and name not in ("seed", "permute_labels"):
            words.append(say_setting(name, flat[name]))
    return list(dict.fromkeys(words))


def say_value(name: str, value: Any) -> str:
    """A setting's value in words that people read; of a long list its length and some names."""
    if name == "cohort.where":
        chosen = [f"{column} is {' or '.join(values)}" for column, values in value.items()]
        return ", ".join(chosen) or "all samples"
    if name == "cohort.merge":
        return ", ".join(f"{one} as {other}" for one, other in value.items()) or "classes as given"
    if isinstance(value, list):
        if len(value) <= LISTED:
            return ", ".join(value) or "none"
        return f"{len(value)} ({value[0]}, {value[1]} … {value[-1]})"
    return say_option(name, value)


def name_levels(outcomes: Sequence[Outcome], setting: str) -> dict[str, str]:
    """A setting's values as `measure_effects` names them -> in words that people read.

    Lists that differ only in names that aren't said are numbered.
    """
    values = [outcome.settings.get(setting, UNUSED) for outcome in outcomes]
    words = {str(value): say_value(setting, value) for value in values}
    alike = Counter(words.values())
    return {
        level: f"{said}, list {number}" if alike[said] > 1 else said
        for number, (level, said) in enumerate(words.items(), start=1)
    }


def say_setting(name: str, value: Any) -> str:
    """A setting in a few words: '4 epochs', 'tumour_type is KIRC', 'genes left out: 9 (A, B … Z)'.

    Of a path only its end is said: 'initial weights: file net.pth' for 'file:/a/net.pth'.
    """
    said = say_value(name, value)
    if name in SAID_ALONE:
        return said
    title = setting_title(name)
    title = f"{title[0].lower()}{title[1:]}"
    if isinstance(value, int) and not isinstance(value, bool) and name in COUNTED:
        return f"{value} {title}"
    kind, mark, place = said.partition(":")
    if name == "cohort.dataset":
        said = said[:6]
    elif mark and kind in ("file", "run"):
        said = f"{kind} {Path(place).name}"
    return f"{title}: {said}"
