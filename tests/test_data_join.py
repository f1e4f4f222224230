"""Cohorts under each other: the genes that all have, on one scale, columns by their names."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from core.data.join import join_datasets
from core.errors import InputError

GENES = [f"G{i}" for i in range(30)]


def cohort(samples: list[str], genes: list[str], scale: str, **columns: list[str]) -> AnnData:
    """Samples whose gene Gi has the value i + 1."""
    values = [float(gene[1:]) + 1 for gene in genes]
    obs = pd.DataFrame(columns, index=samples)
    data = AnnData(
        np.tile(np.array(values, np.float32), (len(samples), 1)),
        obs=obs,
        var=pd.DataFrame(index=genes),
    )
    data.uns["scale"] = scale
    return data


def test_genes_that_all_have_stand_under_each_other_whatever_their_order() -> None:
    one = cohort(["a", "b"], GENES, "log2", er=["+", "-"], age=["1", "2"])
    two = cohort(["c"], GENES[:4:-1], "log2", er=["-"])
    joint = join_datasets({"one": one, "two": two})
    assert set(joint.var_names) == set(GENES[5:])
    for gene in GENES[5:]:
        assert joint[:, gene].X.ravel().tolist() == [float(gene[1:]) + 1] * 3
    assert joint.obs["er"].tolist() == ["+", "-", "-"]
    assert joint.obs["cohort"].tolist() == ["one", "one", "two"]
    assert list(joint.obs) == ["er", "cohort"]
    assert joint.uns["scale"] == "log2"


def test_counts_beside_log2_values_become_log2_of_counts_per_million() -> None:
    one = cohort(["a"], GENES, "counts")
    two = cohort(["b"], GENES, "log2")
    joint = join_datasets({"one": one, "two": two})
    library = sum(range(1, 31))
    assert joint["a", "G9"].X[0, 0] == pytest.approx(np.log2(10 * 1e6 / library + 1))
    assert joint["b", "G9"].X[0, 0] == 10
    assert "one counts, two log2" in joint.uns["notes"][1]


def test_columns_of_other_names_are_brought_under_one() -> None:
    one = cohort(["a"], GENES, "log2", er=["1"])
    two = cohort(["b"], GENES, "log2", ER=["0"])
    joint = join_datasets({"one": one, "two": two}, {"er": ["er", "ER"]})
    assert joint.obs["er"].tolist() == ["1", "0"]
    with pytest.raises(InputError, match=r"two has no column 'er'. Columns: ER"):
        join_datasets({"one": one, "two": two}, {"er": ["er", "er"]})


def test_samples_of_one_id_get_their_cohorts_name() -> None:
    one, two = cohort(["a", "b"], GENES, "log2"), cohort(["b", "c"], GENES, "log2")
    joint = join_datasets({"one": one, "two": two})
    assert list(joint.obs_names) == ["a", "one:b", "two:b", "c"]


def test_cohorts_with_other_names_of_genes_are_refused_with_both() -> None:
    one = cohort(["a"], GENES, "log2")
    two = cohort(["b"], [f"E{i}" for i in range(30)], "log2")
    with pytest.raises(InputError, match=r"Only 0 genes.*one: G0; two: E0"):
        join_datasets({"one": one, "two": two})
    with pytest.raises(InputError, match="two or more"):
        join_datasets({"one": one})
