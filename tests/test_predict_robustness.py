"""How much distortion a model stands: distortions with known answers, and a tiny run under them."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import rankdata

from core.cli import main
from core.data.store import add_dataset
from core.errors import DamageError, InputError
from core.escape import read_csv
from core.home import run_folder, sent_folder
from core.jobs.here import do_here
from core.jobs.record import JobState
from core.predict import robustness
from core.predict.distortions import DISTORTIONS, Measured, Weights
from core.predict.model import ensure_references, load_model
from core.predict.price import price_missing
from core.predict.robustness import (
    BROKEN,
    Point,
    Robustness,
    RobustnessJob,
    Verdict,
    load_robustness,
    measure_robustness,
    request_robustness,
    robustness_path,
    robustness_state,
)
from core.runs.execute import Silent, execute
from core.runs.result import load_result
from core.runs.store import RunStore
from core.runs.study import open_samples
from tests.test_predict_matching import as_log2, cohorts, spec_of

GENES = np.array([f"G{n}" for n in range(40)])
WEIGHTS = Weights(GENES[:20], np.arange(20) / 190)
SCALES = ("counts", "linear", "log2")


def measured(scale: str = "counts", samples: int = 5) -> Measured:
    """Values with zeros, and one that is missing."""
    x = np.random.default_rng(0).poisson(30, (samples, 40)).astype(np.float32)
    x[:, 3] = 0
    if scale == "linear":
        x = x / 7
    if scale == "log2":
        x = np.log2(x + 1)
    x[1, 5] = np.nan
    return Measured(x, GENES, scale)


# --- Distortions ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", DISTORTIONS, ids=lambda kind: kind.name)
def test_a_distortion_is_the_same_every_time_and_none_at_level_0(kind) -> None:
    data = measured(kind.scales[0])
    before = data.x.copy()
    assert kind.levels[0] == 0
    assert list(kind.levels) == sorted(kind.levels)
    assert kind.apply(data, 0, WEIGHTS) is data
    for level in kind.levels[1:]:
        first, again = (kind.apply(data, level, WEIGHTS) for _ in range(2))
        assert np.array_equal(first.x, again.x, equal_nan=True)
        assert np.array_equal(first.genes, again.genes)
        assert first.x.shape == (5, len(first.genes))
    for other in ({"fold": 1}, {"draw": 1}):
        another = kind.apply(data, level, WEIGHTS, **other)
        same = another.x.shape == first.x.shape and np.array_equal(
            another.x, first.x, equal_nan=True
        )
        assert same == (kind.name == "missing_important")
    assert np.array_equal(data.x, before, equal_nan=True), "what was measured stays"


@pytest.mark.parametrize("scale", SCALES)
def test_bent_values_keep_the_order_of_a_sample_s_genes(scale: str) -> None:
    data = measured(scale)
    bent = DISTORTIONS["monotone"].apply(data, 0.8, WEIGHTS)
    for before, after in zip(data.x, bent.x, strict=True):
        assert np.array_equal(np.isnan(before), np.isnan(after))
        there = np.isfinite(before)
        assert np.array_equal(rankdata(before[there]), rankdata(after[there]))
        expressed = there & (before > 0)
        log = np.log2 if scale != "log2" else np.asarray
        centre = np.median(log(before[expressed if scale != "log2" else there]))
        stretch = (log(after[expressed]) - centre) / (log(before[expressed]) - centre + 1e-9)
        assert stretch[np.abs(log(before[expressed]) - centre) > 0.1].std() < 1e-3
    assert not np.allclose(np.nan_to_num(bent.x), np.nan_to_num(data.x), rtol=0.05)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(("name", "alike"), [("gene_shift", 0), ("sample_factor", 1)])
def test_a_shift_is_one_number_a_gene_and_a_factor_one_a_sample(
    scale: str, name: str, alike: int
) -> None:
    data, kind = measured(scale, samples=200), DISTORTIONS[name]
    weak, strong = (
        _log_change(data, kind.apply(data, level, WEIGHTS)) for level in (0.5, 1.0)
    )  # (genes that are expressed, samples)
    spread = np.nanstd(strong, axis=alike)
    assert np.nanmax(spread) < 1e-3, "the same along the other axis"
    means = np.nanmean(strong, axis=alike)
    assert means.std() == pytest.approx(1, abs=0.3)
    assert np.allclose(means, 2 * np.nanmean(weak, axis=alike), atol=1e-3), "the same, stronger"


def _log_change(before: Measured, after: Measured) -> np.ndarray:
    one, other = np.delete(before.x, 3, axis=1), np.delete(after.x, 3, axis=1)
    return other - one if before.scale == "log2" else np.log2(other) - np.log2(one)


def test_thinned_counts_are_whole_and_fewer_by_halves() -> None:
    data, kind = measured(samples=200), DISTORTIONS["depth"]
    assert kind.scales == ("counts",)
    for halvings in (1, 3):
        thinned = kind.apply(data, halvings, WEIGHTS).x
        there = np.isfinite(data.x)
        assert np.array_equal(there, np.isfinite(thinned))
        assert np.array_equal(thinned[there], np.round(thinned[there]))
        assert (thinned[there] <= data.x[there]).all()
        assert thinned[there].sum() / data.x[there].sum() == pytest.approx(2**-halvings, rel=0.03)


def test_genes_go_missing_at_random_or_the_most_important_first() -> None:
    data = measured()
    first = DISTORTIONS["missing_important"].apply(data, 0.25, WEIGHTS)
    assert np.array_equal(first.genes, [*GENES[:15], *GENES[20:]])
    assert np.array_equal(first.x, np.delete(data.x, range(15, 20), axis=1), equal_nan=True)
    gone = [
        set(GENES) - set(DISTORTIONS["missing_random"].apply(data, share, WEIGHTS).genes)
        for share in (0.25, 0.5)
    ]
    assert [len(some) for some in gone] == [5, 10]
    assert gone[0] < gone[1] <= set(WEIGHTS.genes)


# --- A run ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(shared_home: Path) -> tuple[Path, dict[str, str]]:
    """A home with a tiny run of two folds on counts and a regression on log2 values."""
    data = cohorts()[0]
    logs = as_log2(data)
    label = {"label": f"gene:{data.var_names[0]}", "group": "patient"}
    one = {"kind": "holdout"}
    specs = {
        "classes": spec_of(add_dataset(data, "counts").id),
        "ranks": spec_of(
            add_dataset(data, "counts").id, preparation={"genes": 60, "across": "rank"}, split=one
        ),
    }
    numbers = add_dataset(logs, "logs").id
    specs["numbers"] = spec_of(
        numbers, task="regression", cohort={"dataset": numbers, **label}, split=one
    )
    for spec in specs.values():
        execute(spec, run_folder(spec.id), Silent(), torch.device("cpu"))
    return shared_home, {name: spec.id for name, spec in specs.items()}


@pytest.fixture(scope="module")
def answers(trained: tuple[Path, dict[str, str]]) -> dict[str, Robustness]:
    """What each run stands."""
    found = {}
    for name, run in trained[1].items():
        ensure_references(run, lambda *_: None)
        model = load_model(run)
        found[name] = measure_robustness(model, open_samples(model.spec), lambda *_: None)
    return found


@pytest.fixture
def runs(trained: tuple[Path, dict[str, str]], home: Path) -> dict[str, str]:
    shutil.copytree(trained[0], home)
    return trained[1]


@pytest.mark.parametrize("name", ["classes", "numbers"])
def test_without_distortion_the_scores_are_the_run_s_own(
    runs: dict[str, str], answers: dict[str, Robustness], name: str
) -> None:
    run, found = runs[name], answers[name]
    result = load_result(run)
    table = found.table()
    task = load_model(run).task
    assert found.metric == task.first_metric
    assert found.samples == result.n_test
    own = {
        "network": result.metrics[found.metric],
        "linear": result.baselines[task.reference(result.baselines)][found.metric],
    }
    plain = table[(table["level"] == 0) & (table["together"] == "none")]
    assert len(plain) == 2 * len(found.verdicts)
    for point in plain.itertuples():
        assert point.score == pytest.approx(own[point.model], abs=1e-5)
    assert ((table["low"] <= table["score"]) & (table["score"] <= table["high"])).all()
    assert set(table["together"]) == {"none", "quantile"}
    scale = {"classes": "counts", "numbers": "log2"}[name]
    kinds = [kind for kind in DISTORTIONS if scale in kind.scales]
    assert [verdict.distortion for verdict in found.verdicts] == [kind.name for kind in kinds]
    assert len(table) == 4 * sum(len(kind.levels) for kind in kinds)
    for verdict in found.verdicts:
        assert found.describe(verdict).count("the network goes from") == 2
        check_verdict(found, verdict)


def test_of_very_many_samples_some_are_drawn_and_it_says_so(
    runs: dict[str, str], answers: dict[str, Robustness], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = answers["ranks"]
    assert whole.say_samples().endswith(f"held-out samples of {whole.patients} patients")
    monkeypatch.setattr(robustness, "MOST_DISTORTED", 10)
    ensure_references(runs["ranks"], lambda *_: None)
    model = load_model(runs["ranks"])
    found, again = (
        measure_robustness(model, open_samples(model.spec), lambda *_: None) for _ in range(2)
    )
    assert (found.samples, found.held_out) == (10, whole.samples)
    assert found.say_samples().endswith(f"drawn at random from {whole.samples}")
    assert again == found


def check_verdict(found: Robustness, verdict: Verdict) -> None:
    """A verdict follows from the points: the lowest level at which a score fell by BROKEN."""
    own = [
        point
        for point in found.points
        if (point.distortion, point.together) == (verdict.distortion, "none")
    ]
    falls = {
        name: np.array([p.score for p in own if p.model == name][:1])
        - [p.score for p in own if p.model == name]
        for name in ("network", "linear")
    }
    levels = DISTORTIONS[verdict.distortion].levels
    broken = (falls["network"] > BROKEN) | (falls["linear"] > BROKEN)
    at = int(broken.argmax()) if broken.any() else len(levels) - 1
    assert verdict.level == levels[at]
    assert verdict.broken == broken.any()
    assert verdict.difference == pytest.approx((falls["network"] - falls["linear"])[at])


def test_missing_genes_cost_what_the_match_card_says(
    runs: dict[str, str], answers: dict[str, Robustness]
) -> None:
    model = load_model(runs["numbers"])
    [reference] = model.references
    most = reference.genes[np.argsort(-reference.importance, kind="stable")]
    table = answers["numbers"].table()
    asked = table[(table["distortion"] == "missing_important") & (table["together"] == "none")]
    for level in (0.25, 0.5):
        missing = most[: round(level * len(most))]
        price = price_missing(model, open_samples(model.spec), missing, lambda *_: None)
        network = asked[(asked["level"] == level) & (asked["model"] == "network")]
        assert network["score"].item() == pytest.approx(price.masked, abs=1e-5)
        assert network["low"].item() == pytest.approx(price.masked_interval[0], abs=1e-4)


def test_where_ranks_are_taken_bending_changes_nothing_and_quantiles_are_not_offered(
    answers: dict[str, Robustness],
) -> None:
    table = answers["ranks"].table()
    assert set(table["together"]) == {"none"}
    bent = table[table["distortion"] == "monotone"]
    assert bent.groupby("model")["score"].nunique().max() == 1


def test_it_is_a_job_whose_answer_stands_in_the_run_s_folder(
    runs: dict[str, str], answers: dict[str, Robustness]
) -> None:
    run = runs["ranks"]
    assert robustness_state(run).state == "missing"
    with pytest.raises(InputError, match="hasn't been put to distorted samples yet"):
        load_robustness(run)
    said = []
    do_here(RobustnessJob(about=run), lambda share, text: said.append(share))
    assert said == sorted(said)
    assert robustness_state(run).state == "done"
    assert load_robustness(run) == answers["ranks"]
    robustness_path(run).write_text('{"metric": "accuracy"}')
    with pytest.raises(DamageError, match=rf"robustness\.json of run {run} is damaged"):
        load_robustness(run)


def test_the_command_line_says_who_breaks_first(
    runs: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, csv = runs["ranks"], tmp_path / "scores.csv"
    RunStore().submit(load_model(run).spec)
    RunStore().claim("cpu")
    RunStore().finish(run, JobState.DONE)
    assert main(["robustness", run[:6], "--csv", str(csv)]) == 0
    found, said = load_robustness(run), capsys.readouterr().out
    assert found.summarise() in said
    assert all(found.describe(verdict) in said for verdict in found.verdicts)
    assert read_csv(csv)["score"].tolist() == pytest.approx(found.table()["score"].tolist())


def test_a_sent_model_is_refused_in_a_sentence(home: Path) -> None:
    sent_folder("0" * 16).mkdir(parents=True)
    with pytest.raises(InputError, match="sent without them"):
        request_robustness("0" * 16)
    with pytest.raises(InputError, match="sent without them"):
        RobustnessJob(about="0" * 16).run(home, Silent(), "cpu")


# --- Words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network", "linear", "interval", "first", "said"),
    [
        (0.70, 0.90, (0.1, 0.3), "network", "The network breaks first: at 1 log2 units"),
        (0.90, 0.70, (-0.3, -0.1), "linear", "The tuned linear model breaks first"),
        (0.70, 0.75, (-0.1, 0.2), "alike", "Both break alike"),
        (0.93, 0.94, (-0.1, 0.2), "neither", "Both stand it: at the strongest, 1 log2 units"),
    ],
)
def test_who_breaks_first_is_said(
    network: float, linear: float, interval: tuple, first: str, said: str
) -> None:
    points = [
        Point(distortion="gene_shift", level=level, together="none", model=model, score=score,
              low=None, high=None)
        for level, scores in ((0, (0.95, 0.95)), (1, (network, linear)))
        for model, score in zip(("network", "linear"), scores, strict=True)
    ]  # fmt: skip
    verdict = Verdict(
        distortion="gene_shift", level=1, broken=min(network, linear) < 0.9,
        difference=linear - network, interval=interval,
    )  # fmt: skip
    found = Robustness(
        metric="accuracy", linear="the tuned linear model", samples=9, patients=9, points=points,
        verdicts=[verdict],
    )  # fmt: skip
    assert verdict.first == first
    words = found.describe(verdict)
    assert words.startswith(said)
    assert f"the network goes from 95.0% to {network:.1%}, the tuned" in words
    if first in ("network", "linear"):
        more = "more" if first == "network" else "less"
        assert f"loses 20.0 points {more}, which is more than luck" in words
        assert "95 % interval 10.0 to 30.0" in words
    assert ("can be luck" in words) == (first == "alike")
    assert "still the better" not in words


def test_what_breaks_first_and_is_ahead_all_the_same_is_said() -> None:
    scores = {("network", 0): 0.4, ("linear", 0): 0.9, ("network", 1): 0.4, ("linear", 1): 0.7}
    points = [
        Point(distortion="gene_shift", level=level, together="none", model=model, score=score,
              low=None, high=None)
        for (model, level), score in scores.items()
    ]  # fmt: skip
    verdict = Verdict(
        distortion="gene_shift", level=1, broken=True, difference=-0.2, interval=(-0.3, -0.1)
    )
    found = Robustness(
        metric="accuracy", linear="the tuned linear model", samples=9, patients=9, points=points,
        verdicts=[verdict],
    )  # fmt: skip
    assert "What broke first is still the better of the two there." in found.describe(verdict)
