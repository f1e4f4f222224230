"""Identities: stable, and other ones for what rests on a record that has changed."""

from dataclasses import replace

import pytest

from core.data.cohort import Cohort
from core.explain.methods import BASELINE_PROFILES, METHODS, Recipe
from core.identity import identify, raised_versions
from core.images.layouts import LAYOUTS, LayoutSpec
from core.images.quality import LayoutQuality
from core.images.trial import Trial


def test_an_identity_depends_on_the_content_and_not_on_its_order() -> None:
    assert identify("train", {"a": 1, "b": [2]}) == identify("train", {"b": [2], "a": 1})
    assert identify("train", {"a": 1}) == "751d19d430d03054"
    assert identify("train", {"a": 1}) != identify("explain", {"a": 1})
    assert identify("train", {"a": 1}) != identify("train", {"a": 2})


def test_only_raised_versions_are_named() -> None:
    first = METHODS["saliency"]
    assert raised_versions(method=first) == {}
    raised = raised_versions(method=first, other=replace(first, version=3))
    assert raised == {"versions": {"other": 3}}


def test_scores_of_an_earlier_version_are_not_taken_for_those_of_today(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipes = Recipe("integrated_gradients"), Recipe("saliency")
    assert [recipe.stem for recipe in recipes] == ["integrated_gradients", "saliency"]
    for registry, name in ((METHODS, "saliency"), (BASELINE_PROFILES, "mean")):
        monkeypatch.setitem(registry._records, name, replace(registry[name], version=2))
    assert [recipe.stem for recipe in recipes] == [
        "integrated_gradients_baseline-v2", "saliency_method-v2"
    ]  # fmt: skip


def test_a_layout_or_measure_that_changed_is_tried_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    cohort = Cohort(dataset="0" * 64, label="x")
    trials = [Trial(cohort=cohort, layout=LayoutSpec(name=name)) for name in ("random", "order")]
    paths = [(trial.layout_path, trial.quality_path) for trial in trials]
    assert len({path for pair in paths for path in pair}) == 4
    with_patients = Trial(cohort=cohort.changed(group="y", batch="z"), layout=trials[0].layout)
    assert (with_patients.layout_path, with_patients.quality_path) == paths[0]
    monkeypatch.setitem(LAYOUTS._records, "random", replace(LAYOUTS["random"], version=2))
    assert trials[0].layout_path != paths[0][0]
    assert trials[1].layout_path == paths[1][0]
    monkeypatch.setattr(LayoutQuality, "version", 2)
    assert trials[1].quality_path != paths[1][1]
