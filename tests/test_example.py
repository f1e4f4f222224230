"""The real example in assets/: what its file says of itself; its values are the source's."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from core.data.read import read_dataset

ASSETS = Path(__file__).parents[1] / "assets"


def test_the_file_says_where_it_comes_from_and_is_small() -> None:
    path = ASSETS / "tumours.parquet"
    said = pq.read_schema(path).metadata
    assert b"Cancer Genome Atlas" in said[b"source"]
    assert b"open access" in said[b"licence"]
    assert path.stat().st_size < 3e6


def test_its_values_are_the_source_s_to_half_precision(real_data: Path) -> None:
    example = read_dataset(ASSETS / "tumours.parquet", ASSETS / "tumours.csv")
    source = pd.read_parquet(real_data / "tcga11_expression.parquet")
    expected = source.loc[example.obs_names, example.var_names].to_numpy()
    assert np.array_equal(np.isnan(example.X), np.isnan(expected))
    np.testing.assert_allclose(example.X, expected, rtol=2**-11, atol=1e-6)
    samples = pd.read_csv(real_data / "tcga11_samples.csv", index_col=0).loc[example.obs_names]
    assert (samples["sample_type"] == "tumour").all()
    for column in ("patient", "tumour_type"):
        assert (example.obs[column].astype(str) == samples[column]).all()
