"""Groups on the page Data: made by labels, compared, trained on, forgotten."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from streamlit.testing.v1 import AppTest

from core.data.choices import Choices, load_choices, save_choices
from core.data.cohort import Cohort
from core.data.groups import keep_group, list_groups
from core.data.store import add_dataset, list_datasets, load_dataset
from tests.pages import button, charts, open_page, words


@pytest.fixture
def dataset() -> str:
    """Twelve samples of two types; gene G0 is 4 higher in T1."""
    rng = np.random.default_rng(0)
    x = rng.normal(6, 0.5, (12, 8)).astype(np.float32)
    x[6:, 0] += 4
    obs = pd.DataFrame(
        {"type": ["T0"] * 6 + ["T1"] * 6, "sex": list("fm") * 6}, [f"S{n}" for n in range(12)]
    )
    var = pd.DataFrame(index=[f"G{n}" for n in range(8)])
    record = add_dataset(AnnData(x, obs=obs, var=var, uns={"scale": "log2"}), "twelve")
    save_choices(record.id, Choices(cohort=Cohort(dataset=record.id, label="type")))
    return record.id


def open_groups() -> AppTest:
    app = open_page("data", **{"data view": "Groups"})
    assert not app.exception
    return app


def test_a_group_is_made_by_labels(dataset: str) -> None:
    app = open_groups()
    assert "Compare two groups" in words(app)
    assert button(app, "Keep these 0 samples as a group").disabled
    app.multiselect(f"group {dataset[:12]} type").set_value(["T1"]).run()
    app = button(app, "Keep these 6 samples as a group").click().run()
    assert not app.exception
    assert [(group.name, len(group.samples)) for group in list_groups(dataset)] == [("T1", 6)]
    assert "T1 against all others: 1 of 8 genes differ" in words(app)


def test_samples_drawn_around_are_kept_as_a_group_or_left_out(dataset: str) -> None:
    def draw(app: AppTest) -> AppTest:
        points = [{"customdata": [name]} for name in ("S1", "S2")]
        app.session_state["samples_pca"] = {"selection": {"points": points}}
        return app.run()

    app = draw(open_page("data"))
    assert not app.exception
    assert "## 2 samples" in words(app)
    [name] = [field for field in app.text_input if field.label == "Name of a group"]
    name.set_value("outer")
    button(app, "Keep as a group").click()
    draw(app)
    assert [(group.name, sorted(group.samples)) for group in list_groups(dataset)] == [
        ("outer", ["S1", "S2"])
    ]
    button(draw(app), "Leave these samples out").click().run()
    assert load_choices(dataset).cohort.leave_out == ("S1", "S2")


def test_two_groups_are_compared_and_trained_on(dataset: str) -> None:
    one = keep_group(dataset, "high", [f"S{n}" for n in range(6, 12)])
    keep_group(dataset, "low", [f"S{n}" for n in range(5)])
    app = open_groups()
    app.selectbox(f"group other {one.id}").set_value(list_groups(dataset)[1].id).run()
    assert "high against low: 1 of 8 genes differ (FDR below 5 %): 1 higher in high" in words(app)
    assert charts(app) == 2  # the volcano, and the first gene in both groups
    assert "GeneCards" in words(app)
    button(app, "Train on these two groups →").click().run()
    made = next(record for record in list_datasets() if record.id != dataset)
    assert made.name == "twelve: high and low"
    assert load_dataset(made.id).obs["group"].value_counts().to_dict() == {"high": 6, "low": 5}
    assert load_choices(made.id).cohort.label == "group"


def test_samples_are_narrowed_to_a_group_and_groups_forgotten(dataset: str) -> None:
    keep_group(dataset, "high", [f"S{n}" for n in range(6, 12)])
    app = open_groups()
    button(app, "Use only high on all pages").click().run()
    assert len(load_choices(dataset).cohort.leave_out) == 6
    app = open_groups()
    assert "Compare two groups" in words(app)  # nothing is left to compare it with
    button(app, "Forget").click().run()
    assert list_groups(dataset) == []
