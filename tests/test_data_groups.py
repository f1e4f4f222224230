"""Named groups of samples: kept, compared gene by gene, made a dataset of their own."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from core.data.groups import (
    SampleGroup,
    check_apart,
    delete_group,
    divide,
    keep_group,
    list_groups,
)
from core.data.store import add_dataset
from core.errors import InputError
from core.explain.differential import compare_groups, judge_groups
from core.home import dataset_folder

LOW = SampleGroup(name="low", samples=("S0", "S1", "S2"))
HIGH = SampleGroup(name="high", samples=("S3", "S4", "S5"))


def make_data(scale: str = "log2") -> AnnData:
    """Six samples; gene A is 2 higher in the last three, B is the same in all, C is noise."""
    x = np.array(
        [[1, 5, 3], [2, 5, 2], [3, 5, 3], [3, 5, 2], [4, 5, 3], [5, 5, 3.5]], dtype=np.float32
    )
    obs = pd.DataFrame(
        {"patient": list("aabcde"), "site": list("xxxyyy")}, index=[f"S{n}" for n in range(6)]
    )
    return AnnData(x, obs=obs, var=pd.DataFrame(index=list("ABC")), uns={"scale": scale})


def test_groups_are_kept_by_what_is_in_them() -> None:
    dataset = add_dataset(make_data(), "six").id
    assert list_groups(dataset) == []
    kept = keep_group(dataset, "  odd \n ones", ["S3", "S1", "S1"])
    assert (kept.name, kept.samples) == ("odd ones", ("S1", "S3"))
    renamed = keep_group(dataset, "again", ["S1", "S3"])
    assert (renamed.id, list_groups(dataset)) == (kept.id, [renamed])
    with pytest.raises(InputError, match="of other samples"):
        keep_group(dataset, "again", ["S2"])
    for name, samples in ((" ", ["S2"]), ("none", [])):
        with pytest.raises(InputError, match="A group needs"):
            keep_group(dataset, name, samples)
    delete_group(dataset, kept.id)
    assert list_groups(dataset) == []


def test_damaged_groups_are_named() -> None:
    dataset = add_dataset(make_data(), "six").id
    (dataset_folder(dataset) / "groups.json").write_text('{"groups": [{"name": ""}]}')
    with pytest.raises(InputError, match=r"The groups of 'six' \(groups\.json\) are damaged\. Set"):
        list_groups(dataset)


def test_genes_are_compared_as_worked_out_by_hand() -> None:
    """A: means 4 and 2, variances 1: t = 2 / sqrt(2 / 3) with 4 degrees of freedom."""
    table = compare_groups(make_data(), HIGH, LOW).set_index("gene")
    assert table.index[0] == "A"
    assert table.loc["A", ["log2fc", "mean_one", "mean_other"]].tolist() == [2, 4, 2]
    assert table.loc["A", "t"] == pytest.approx(2 / np.sqrt(2 / 3))
    assert table.loc["A", "p"] == pytest.approx(0.0705, abs=1e-4)
    assert table.loc["A", "fdr"] == pytest.approx(3 * table.loc["A", "p"])
    assert table.loc["B", ["log2fc", "t", "p"]].tolist() == [0, 0, 1]


def test_counts_are_compared_per_million() -> None:
    data = make_data("counts")
    table = compare_groups(data, HIGH, LOW).set_index("gene")
    million = 1e6 * data.X / data.X.sum(axis=1, keepdims=True)
    expected = np.log2(million + 1)[:, 1].reshape(2, 3).mean(axis=1)
    assert table.loc["B", ["mean_other", "mean_one"]].tolist() == pytest.approx(expected)


def test_missing_values_are_left_out_gene_by_gene() -> None:
    data = make_data()
    data.X[0, 0] = data.X[1, 2] = data.X[2, 2] = np.nan
    table = compare_groups(data, HIGH, LOW).set_index("gene")
    assert sorted(table.index) == ["A", "B"]  # C has one value left in a group
    assert table.loc["A", "mean_other"] == 2.5


def test_what_can_not_be_compared_is_refused() -> None:
    with pytest.raises(InputError, match="1 sample is in 'low' and in 'x' \\(S2\\)"):
        check_apart(LOW, SampleGroup(name="x", samples=("S2", "S9")))
    alone = SampleGroup(name="alone", samples=("S4",))
    with pytest.raises(InputError, match="'alone' has 1 of the samples"):
        compare_groups(make_data(), LOW, alone)


def test_what_speaks_against_a_comparison() -> None:
    found = judge_groups(make_data(), HIGH, LOW, "patient", "site")
    assert [finding.code for finding in found] == ["batch", "dependent", "few", "few"]
    assert "100% of the samples are in a site with one group" in found[0].message
    assert found[1].message.startswith("1 patient has several")
    assert [one.code for one in judge_groups(make_data(), HIGH, LOW)] == ["few", "few"]


def test_two_groups_become_a_dataset_with_a_column() -> None:
    data = make_data()
    data.obs["group"] = "before"
    chosen, column = divide(data, HIGH, SampleGroup(name="low", samples=("S1",)))
    assert (column, chosen.obs_names.tolist()) == ("group 2", ["S1", "S3", "S4", "S5"])
    assert chosen.obs[column].tolist() == ["low", "high", "high", "high"]
    assert chosen.obs["patient"].tolist() == list("acde"[:1] + "cde")
    np.testing.assert_array_equal(chosen.X, data.X[[1, 3, 4, 5]])
    with pytest.raises(InputError, match="no sample S9"):
        divide(data, HIGH, SampleGroup(name="gone", samples=("S9",)))
