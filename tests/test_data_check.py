"""Checks: what a data card says about hand-made and real data."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from core.data.check import DataCard, check_dataset
from core.data.choices import Choices
from core.data.cohort import Cohort
from core.data.notes import Finding
from core.data.prepare import PreparationSpec
from core.data.profile import detect_scale, profile
from core.data.read import read_dataset
from core.data.roles import suggest_group, suggest_label
from core.data.similarity import cluster, map_neighbours, map_samples
from core.errors import InputError


def make(x: list | np.ndarray, scale: str = "log2", **columns: list[str]) -> AnnData:
    x = np.asarray(x, dtype=np.float32)
    ids = [f"s{n}" for n in range(len(x))]
    genes = [f"g{n}" for n in range(x.shape[1])]
    return AnnData(
        x,
        obs=pd.DataFrame(columns, index=ids, dtype=object),
        var=pd.DataFrame(index=genes),
        uns={"scale": scale, "source": "made", "notes": []},
    )


def noise(samples: int, genes: int = 5) -> np.ndarray:
    return np.random.default_rng(0).uniform(1, 9, (samples, genes))


def codes(data: AnnData, label: str | None = None, group: str | None = None) -> dict[str, str]:
    return {f.code: f.severity for f in check_dataset(data, label, group).findings}


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([[0, 3, 1200]], "counts"),
        ([[0.5, 3, 1200]], "linear"),
        ([[0.5, 3, 14.2]], "log2"),
        ([[-3.5, 3, 14.2]], "log2"),
        ([[np.nan, 4, 7]], "counts"),
    ],
)
def test_scale_is_told_from_the_values(values: list, scale: str) -> None:
    assert detect_scale(np.array(values, dtype=np.float32)) == scale


def test_clean_data_have_no_warnings() -> None:
    data = make(noise(40), kind=["X", "Y"] * 20, patient=[f"p{n}" for n in range(40)])
    card = check_dataset(data, "kind", "patient")
    assert (card.samples, card.genes, card.classes) == (40, 5, {"X": 20, "Y": 20})
    assert {finding.severity for finding in card.findings} == {"info"}


def test_one_class_is_an_error_with_or_without_a_chosen_label() -> None:
    data = make(noise(20), label=["X"] * 20)
    assert codes(data, "label")["one_class"] == "error"
    assert codes(data)["one_class"] == "error"


def test_unlabelled_and_few_samples_are_found() -> None:
    data = make(noise(30), label=[""] + ["X"] * 9 + ["Y"] * 20)
    found = codes(data, "label")
    assert found["unlabelled"] == "error"
    assert found["small_class"] == "warning"


def test_unknown_columns_are_named_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'nothing'.*kind"):
        check_dataset(make(noise(4), kind=["X", "Y"] * 2), "nothing")


def test_missing_values_in_one_class_are_named() -> None:
    x = noise(60)
    x[:10, :2] = np.nan
    data = make(x, label=["A"] * 20 + ["B"] * 20 + ["C"] * 20)
    finding = next(f for f in check_dataset(data, "label").findings if f.code == "missing_values")
    assert finding.severity == "warning"
    assert "20 values" in finding.message
    assert "in A only" in finding.message


def test_missing_values_everywhere_are_only_told() -> None:
    x = noise(60)
    x[:, 0] = np.nan
    data = make(x, label=["A", "B", "C"] * 20)
    assert codes(data, "label")["missing_values"] == "info"


def test_values_that_look_z_scored_are_found() -> None:
    x = np.random.default_rng(0).normal(size=(20, 5))
    assert codes(make(x))["centred"] == "warning"


def test_copies_and_constant_genes_are_found() -> None:
    x = noise(10)
    x[3] = x[7]
    x[:, 2] = 4
    found = check_dataset(make(x)).findings
    copies = next(f.message for f in found if f.code == "identical_samples")
    constant = next(f.message for f in found if f.code == "constant_genes")
    assert "s3" in copies
    assert "s7" in copies
    assert "g2" in constant


def test_patients_are_suggested_when_none_are_chosen() -> None:
    data = make(noise(4), patient=["p1", "p1", "p2", "p3"])
    message = next(f.message for f in check_dataset(data).findings if f.code == "no_patients")
    assert "'patient'" in message


def test_label_and_patient_columns_are_suggested_by_name_and_number_of_values() -> None:
    data = make(
        noise(8),
        batch=["1", "2"] * 4,
        acronym=["X", "Y"] * 4,
        case_id=[f"p{n}" for n in range(8)],
    )
    assert suggest_label(data) == "acronym"
    assert suggest_group(data) == "case_id"
    assert suggest_label(make(noise(8))) is None
    assert suggest_group(make(noise(8))) is None


def test_samples_are_selected_by_all_conditions() -> None:
    data = make(noise(4), a=["x", "x", "y", "z"], b=["1", "2", "1", "1"])
    chosen = Cohort(where={"a": ["x", "y"], "b": ["1"]}).select(data)
    assert list(chosen.obs_names) == ["s0", "s2"]
    assert Cohort().select(data).n_obs == 4


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"c": ["x"]}, r"'c'.*a, b"),
        ({"a": ["q"]}, r"'q'.*x, y"),
        ({"a": ["x"], "b": ["3"]}, r"all conditions"),
    ],
)
def test_a_selection_that_finds_nothing_says_why(where: dict, message: str) -> None:
    data = make(noise(3), a=["x", "y", "y"], b=["1", "2", "3"])
    with pytest.raises(InputError, match=message):
        Cohort(where=where).select(data)


def test_real_tumours(real_data: Path) -> None:
    data = read_dataset(real_data / "tcga11_expression.parquet", real_data / "tcga11_samples.csv")
    assert codes(data, "tumour_type", "patient")["normal_tissue"] == "warning"
    card = check_dataset(
        Cohort(where={"sample_type": ["tumour"]}).select(data), "tumour_type", "patient"
    )
    assert card.samples == 602
    assert len(card.classes) == 11
    found = {f.code: f for f in card.findings}
    assert "normal_tissue" not in found
    for code in ("missing_values", "below_zero"):
        assert found[code].severity == "warning"
        assert "COAD and STAD" in found[code].message


def find(data: AnnData, code: str, **choices: object) -> Finding:
    return next(f for f in check_dataset(data, **choices).findings if f.code == code)


def repaired(data: AnnData, finding: Finding, choices: Choices) -> DataCard:
    """The card after the finding's repair."""
    new = choices.changed(**finding.repair.changes)
    cohort = new.cohort
    kept = cohort.select(data)
    return check_dataset(kept, cohort.label, cohort.group, cohort.batch, new.preparation)


def cohort(samples: int = 60, genes: int = 300) -> AnnData:
    """Three classes of unrelated patients, with genes of their own."""
    rng = np.random.default_rng(1)
    kinds = np.arange(samples) % 3
    return make(
        rng.normal(8, 1, (samples, genes)) + rng.normal(0, 1, (3, genes))[kinds],
        label=[f"T{n % 3}" for n in range(samples)],
        patient=[f"p{n}" for n in range(samples)],
    )


CHOICES = Choices(cohort=Cohort(label="label", group="patient"))


def relabel_first(data: AnnData, label: str) -> None:
    data.obs.iloc[0, data.obs.columns.get_loc("label")] = label


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda d: d.X.__setitem__(4, d.X[5]), "identical_samples"),
        (lambda d: d.X.__setitem__(4, d.X[5] + 0.01 * np.sin(np.arange(300))), "similar_samples"),
        (lambda d: d.X.__setitem__(7, 8 + 2 * np.cos(np.arange(300))), "outliers"),
        (lambda d: d.X.__setitem__((slice(0, 3), 2), np.nan), "missing_values"),
        (lambda d: relabel_first(d, ""), "unlabelled"),
        (lambda d: relabel_first(d, "rare"), "small_class"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_finding_is_gone_after_its_repair(spoil: Callable, code: str) -> None:
    data = cohort()
    assert code not in codes(data, "label", "patient")
    spoil(data)
    finding = find(data, code, label="label", group="patient")
    after = repaired(data, finding, CHOICES)
    assert code not in {f.code for f in after.findings if f.severity != "info"}


def test_a_pair_in_two_classes_may_be_a_mix_up_and_both_go() -> None:
    data = cohort()
    data.X[4] = data.X[5] + 0.01
    finding = find(data, "similar_samples", label="label", group="patient")
    assert "differ in label and patient" in finding.message
    assert "mixed up" in finding.message
    assert finding.repair.changes == {"leave_out": ["s4", "s5"]}


def test_of_a_pair_of_one_specimen_one_is_kept() -> None:
    data = cohort()
    data.X[3] = data.X[6] + 0.01
    data.obs.loc["s6", "patient"] = "p3"
    finding = find(data, "similar_samples", label="label", group="patient")
    assert finding.repair.changes == {"leave_out": ["s6"]}


def test_a_hardly_sequenced_sample_is_found() -> None:
    data = make(
        np.random.default_rng(0).poisson(100, (30, 200)), "counts", label=["A", "B", "C"] * 10
    )
    data.X[11] = np.floor(data.X[11] / 50)
    finding = find(data, "poor_library", label="label")
    assert "s11" in finding.message
    assert finding.repair.changes == {"leave_out": ["s11"]}


@pytest.mark.parametrize(
    ("batches", "severity", "words"),
    [
        (["b1", "b2", "b3"] * 20, "warning", "V 1.00; 100% .* one class only"),
        (["b1", "b2", "b3"] * 10 + ["b1"] * 30, "warning", "clearly associated"),
        (["b1"] * 30 + ["b2"] * 30, "info", "V 0.00, hardly associated"),
    ],
)
def test_class_against_batch(batches: list[str], severity: str, words: str) -> None:
    data = cohort()
    data.obs["batch"] = batches
    assert find(data, "no_batch", label="label").repair.changes == {"batch": "batch"}
    finding = find(data, "batch", label="label", batch="batch")
    assert finding.severity == severity
    assert re.search(words, finding.message)


def test_a_floor_below_which_one_class_reaches_is_an_error_unless_it_is_common() -> None:
    data = cohort()
    data.X[np.array(data.obs["label"] == "T1"), :5] = -7
    common = PreparationSpec(floor=4.5)
    assert find(data, "below_zero", label="label", preparation=common).severity == "warning"
    low = PreparationSpec(floor=-10)
    finding = find(data, "below_zero", label="label", preparation=low)
    assert finding.severity == "error"
    assert "In T1" in finding.message
    after = repaired(data, finding, CHOICES.changed(preparation=low.model_dump()))
    assert "error" not in {f.severity for f in after.findings}


def test_tumours_and_normals_of_a_patient_are_counted_and_normals_can_go() -> None:
    data = make(
        np.random.default_rng(0).normal(8, 1, (40, 200)),
        label=["A", "B"] * 20,
        patient=[f"p{n // 2}" for n in range(40)],
        sample_type=["Primary Tumor"] * 20 + ["Solid Tissue Normal"] * 20,
    )
    data.obs["patient"] = [f"p{n % 20}" for n in range(40)]
    assert "20 have both" in find(data, "patients", label="label", group="patient").message
    finding = find(data, "normal_tissue", label="label", group="patient")
    assert finding.repair.changes == {"where": {"sample_type": ["Primary Tumor"]}}
    assert repaired(data, finding, CHOICES).samples == 20
    assert "normal_tissue" not in codes(data, "sample_type")  # then it is the question


def test_real_mix_up_is_found(real_data: Path) -> None:
    data = read_dataset(real_data / "tcga11_expression.parquet", real_data / "tcga11_samples.csv")
    message = find(data, "similar_samples", label="tumour_type", group="patient").message
    assert "TCGA-CH-5769-01A-11R-1580-07" in message
    assert "differ in sample_type" in message


def test_choices_add_up() -> None:
    choices = CHOICES.changed(leave_out=["a", "b"]).changed(leave_out=["b", "c"])
    choices = choices.changed(where={"x": ["1"]}).changed(where={"y": ["2"]})
    choices = choices.changed(preparation={"floor": 1.0}).changed(preparation={"missing": "drop"})
    assert choices.cohort.leave_out == ("a", "b", "c")
    assert choices.cohort.where == {"x": ["1"], "y": ["2"]}
    assert (choices.preparation.floor, choices.preparation.missing) == (1.0, "drop")
    assert choices.cohort.label == "label"


def test_a_profile_of_four_samples() -> None:
    x = np.array([[0, 1, 2], [np.nan, -1, 4], [3, 3, np.nan], [0, 0, 0]], dtype=np.float32)
    found = profile(x)
    assert found.scale == "log2"
    assert found.missing.tolist() == [0, 1, 1, 0]
    assert found.negative.tolist() == [0, 1, 0, 0]
    assert found.zeros.tolist() == [1, 0, 0, 3]
    assert found.lowest.tolist() == [0, -1, 3, 0]
    assert found.total.tolist() == [3, 3, 6, 0]
    assert found.quantiles[:, 2].tolist() == [1, -1, 3, 0]
    assert found.gene_missing.tolist() == [1, 0, 1]
    assert found.gene_highest.tolist() == [3, 3, 4]


def test_components_are_those_of_the_covariance() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 8)) * np.arange(1, 9)
    scores, share = map_samples(x, 2)
    values, vectors = np.linalg.eigh(np.cov(x.T))
    expected = (x - x.mean(axis=0)) @ vectors[:, ::-1][:, :2]
    np.testing.assert_allclose(np.abs(scores), np.abs(expected), atol=1e-9)
    np.testing.assert_allclose(share, values[::-1][:2] / values.sum())
    assert (scores[np.abs(scores).argmax(axis=0), [0, 1]] > 0).all()


def test_samples_of_one_group_are_neighbours_on_the_map() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat([0, 1, 2], 20)
    values = rng.normal(size=(60, 40)) + 8 * np.eye(3)[groups] @ rng.normal(size=(3, 40))
    places = map_neighbours(values)
    assert places.shape == (60, 2)
    assert np.array_equal(places, map_neighbours(values))
    distance = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (groups[distance.argmin(axis=1)] == groups).all()


def test_like_rows_stand_beside_each_other() -> None:
    shape = np.array([0.0, 1, 0, 2, 1, 3])
    values = np.array([shape, -shape, 2 * shape + 1, 1 - shape, np.ones(6)])
    order = cluster(values).tolist()
    assert abs(order.index(0) - order.index(2)) == 1
    assert abs(order.index(1) - order.index(3)) == 1
    assert sorted(order) == [0, 1, 2, 3, 4]
