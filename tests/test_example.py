"""The real example in assets/: what its file says of itself; its values are the source's."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from core.data.read import read_dataset
from core.explain.methods import Recipe
from core.runs.doctor import damage_of
from core.runs.example import READY, add_example
from core.runs.explaining import explanation_state
from core.runs.store import RunStore
from core.stories import delete_story, list_stories, load_view

ASSETS = Path(__file__).parents[1] / "assets"


def test_its_run_genes_and_story_are_whole_and_come_once() -> None:
    dataset = add_example()
    assert READY.stat().st_size < 6e6
    [run] = RunStore().list()
    assert (run.state, run.tags, run.spec.cohort.dataset) == ("done", "example", dataset.id)
    assert damage_of(run.id) is None
    recipe = Recipe("integrated_gradients")  # else: python assets/make_ready.py
    assert explanation_state(run.id, recipe).state == "done"
    assert explanation_state(run.id, recipe, evidence=True).state == "done"
    [story] = list_stories()
    for pinned in story.views:
        assert load_view(story.id, pinned.view).figure is not None
        assert pinned.caption
    delete_story(story.id)
    RunStore().label(run.id, name="mine")
    add_example()
    assert [one.name for one in RunStore().list()] == ["mine"], "what is here stays"
    assert [one.id for one in list_stories()] == [story.id]


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
