"""A cohort: which samples it takes, what they are then, and how earlier documents said it."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from core.data.choices import Choices, load_choices, save_choices
from core.data.cohort import Cohort, nest_cohort
from core.data.simulate import simulate
from core.data.store import add_dataset
from core.errors import InputError
from core.files import write_json
from core.home import dataset_folder


@pytest.fixture
def data() -> AnnData:
    obs = pd.DataFrame(
        {"type": ["a", "b", "c", "a"], "tissue": ["tumour", "tumour", "normal", "normal"]},
        index=["s1", "s2", "s3", "s4"],
    )
    return AnnData(np.arange(8, dtype=np.float32).reshape(4, 2), obs=obs)


def test_samples_are_selected_and_merged_classes_renamed(data: AnnData) -> None:
    cohort = Cohort(
        label="type", where={"type": ["a", "b"]}, leave_out=("s1",),
        merge={"b": "b or c", "c": "b or c"},
    )  # fmt: skip
    chosen = cohort.select(data)
    assert chosen.obs_names.tolist() == ["s2", "s4"]
    assert chosen.obs["type"].tolist() == ["b or c", "a"]
    assert chosen.X.tolist() == [[2, 3], [6, 7]]
    assert data.obs["type"].tolist() == ["a", "b", "c", "a"]
    assert Cohort(label="type").select(data) is data
    assert cohort.unlabelled.select(data).obs["type"].tolist() == ["b", "a"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"label": "grade"}, "no label column 'grade'. Columns: type, tissue"),
        ({"group": "donor"}, "no patient column 'donor'"),
        ({"batch": "site"}, "no batch column 'site'"),
        ({"where": {"site": ["x"]}}, "no sample column 'site'"),
        ({"where": {"type": ["z"]}}, "'type' has no value 'z'. Known: a, b, c"),
        ({"leave_out": ["s9"]}, "no sample 's9'"),
        ({"label": "type", "merge": {"z": "a"}}, "no class 'z' to merge. Classes: a, b, c"),
        ({"where": {"type": ["c"], "tissue": ["tumour"]}}, "No sample fulfils all"),
    ],
)
def test_what_is_not_there_is_named(data: AnnData, fields: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Cohort(**fields).select(data)


def test_documents_of_earlier_versions_are_nested() -> None:
    flat = {"dataset": "0" * 64, "label": "x", "where": {"a": ["b"]}, "seed": 3}
    nested = {"cohort": {"dataset": "0" * 64, "label": "x", "where": {"a": ["b"]}}, "seed": 3}
    assert nest_cohort(flat) == nest_cohort(nested) == nested
    assert nest_cohort({**nested, "group": "y"})["cohort"]["group"] == "y"
    assert nest_cohort({**nested, "label": "y"}) == {**nested, "label": "y"}  # refused as unknown


def test_choices_of_earlier_versions_hold() -> None:
    dataset = add_dataset(simulate(60, 200)[0], "small").id
    earlier = {"label": "tumour_type", "group": None, "batch": "batch", "where": {},
               "leave_out": ["S0001"], "merge": {}, "preparation": {"genes": 50}}  # fmt: skip
    write_json(dataset_folder(dataset) / "choices.json", earlier)
    choices = load_choices(dataset)
    assert choices.cohort == Cohort(
        dataset=dataset, label="tumour_type", batch="batch", leave_out=("S0001",)
    )
    assert choices.preparation.genes == 50
    save_choices(dataset, choices)
    assert load_choices(dataset) == choices != Choices()
    write_json(dataset_folder(dataset) / "choices.json", [earlier])
    with pytest.raises(InputError, match="choose anew"):
        load_choices(dataset)
