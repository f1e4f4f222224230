"""Checks: what a data card says about hand-made and real data."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from core.data.check import check_dataset, select_samples
from core.data.profile import detect_scale
from core.data.read import read_dataset
from core.data.roles import suggest_group, suggest_label
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
    chosen = select_samples(data, {"a": ["x", "y"], "b": ["1"]})
    assert list(chosen.obs_names) == ["s0", "s2"]
    assert select_samples(data, {}).n_obs == 4


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
        select_samples(data, where)


def test_real_tumours(real_data: Path) -> None:
    data = read_dataset(real_data / "tcga11_expression.parquet", real_data / "tcga11_samples.csv")
    assert codes(data, "tumour_type", "patient")["normal_tissue"] == "warning"
    card = check_dataset(
        select_samples(data, {"sample_type": ["tumour"]}), "tumour_type", "patient"
    )
    assert card.samples == 602
    assert len(card.classes) == 11
    found = {f.code: f for f in card.findings}
    assert "normal_tissue" not in found
    for code in ("missing_values", "below_zero"):
        assert found[code].severity == "warning"
        assert "COAD and STAD" in found[code].message
