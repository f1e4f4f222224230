"""Every method of transfer on problems whose answer was planted."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from core.errors import InputError
from core.transfer.methods import TRANSFER_METHODS
from core.transfer.methods.components import (
    find_own_axes,
    find_random_axes,
    find_source_axes,
    restrict,
)
from core.transfer.methods.gene_networks import order_genes
from core.transfer.methods.linear import answer_sparsely, domain_auc
from core.transfer.methods.pathways import learn_programs
from core.transfer.methods.rank_value import rank_values, usual_values
from core.transfer.methods.self_training import self_train
from core.transfer.methods.species import carry_sets, compare_species
from core.transfer.planted import PROGRAMS, plant
from core.transfer.problem import Problem, TransferMethod

RECORDS = list(TRANSFER_METHODS)


def auroc(method: TransferMethod, problem: Problem, y: np.ndarray) -> float:
    return roc_auc_score(y, method.fit(problem)[:, 1])


@pytest.mark.parametrize("method", RECORDS, ids=lambda method: method.name)
def test_probabilities_of_every_method(method: TransferMethod) -> None:
    """Of its smallest number of target samples, and the same when asked again."""
    numbers = method.learns_from == "numbers"
    problem, *_ = plant(
        1, method.min_target, numbers=numbers, source=40, unlabelled=12, test=9, genes=36
    )
    found = method.fit(problem)
    assert found.shape == (9, 2)
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1)
    np.testing.assert_array_equal(method.fit(problem), found)


@pytest.mark.parametrize("method", RECORDS, ids=lambda method: method.name)
def test_no_method_looks_at_other_tested_samples(method: TransferMethod) -> None:
    """A sample gets the same probabilities whoever is asked about beside it."""
    numbers = method.learns_from == "numbers"
    problem, *_ = plant(2, 6, numbers=numbers, source=40, unlabelled=12, test=8, genes=36)
    others = 10 * problem.test[4:]
    beside = replace(problem, test=np.concatenate([problem.test[:4], others]))
    np.testing.assert_allclose(method.fit(beside)[:4], method.fit(problem)[:4], atol=1e-5)


@pytest.mark.parametrize(
    "name", ["frozen_0", "frozen_4", "adversarial", "convolution", "two_heads"]
)
def test_what_learns_from_classes_gains_by_shared_programs_and_loses_by_swapped_ones(
    name: str,
) -> None:
    method, found = TRANSFER_METHODS[name], {}
    for kind in ("shared", "opposite"):
        problem, y, _ = plant(3, 4, kind, effect=3.0, source=120, unlabelled=20, genes=60)
        found[kind] = auroc(method, problem, y)
    assert found["shared"] > 0.8
    assert found["opposite"] < found["shared"] - 0.2


def test_numbers_of_the_source_tell_the_target_s_classes() -> None:
    method, found = TRANSFER_METHODS["numbers_to_classes"], {}
    for kind in ("shared", "permuted"):
        problem, y, _ = plant(
            3, 6, kind, effect=2.0, source=200, unlabelled=20, genes=60, numbers=True
        )
        found[kind] = auroc(method, problem, y)
    assert found["shared"] > 0.8
    assert found["permuted"] < found["shared"]


def test_classes_are_no_numbers_and_numbers_no_classes() -> None:
    with pytest.raises(InputError, match="labelled by classes"):
        TRANSFER_METHODS["numbers_to_classes"].fit(plant(0, 6, source=20, genes=12)[0])
    with pytest.raises(InputError, match="labelled by a number"):
        TRANSFER_METHODS["frozen_0"].fit(plant(0, 6, source=20, genes=12, numbers=True)[0])


def test_labels_that_self_training_gives_clear_classes_are_right() -> None:
    problem, y, hidden = plant(4, 20, effect=5.0)
    found = self_train(problem, hidden, judged=False)
    assert found.rounds[0].labelled == 0
    assert found.rounds[-1].labelled > 30
    assert found.rounds[-1].right >= 0.95
    assert roc_auc_score(y, found.probabilities[:, 1]) > 0.98


def test_self_training_confirms_wrong_labels() -> None:
    problem, _, hidden = plant(4, 20, effect=5.0)
    swapped = replace(problem, target_labels=1 - problem.target_labels)
    assert self_train(swapped, hidden, judged=False).rounds[-1].right <= 0.05


def test_domain_auroc_of_cohorts_that_are_alike_is_about_a_half() -> None:
    """Not below chance, as of samples that were standardised cohort by cohort."""
    rng = np.random.default_rng(0)
    found = [domain_auc(rng.normal(size=(80, 20)), np.arange(80) < 40, seed) for seed in range(10)]
    assert 0.4 < np.mean(found) < 0.6


def test_components_hold_the_target_s_variance_if_the_source_has_the_same_programs() -> None:
    same, *_ = plant(8, 20, "shared", unlabelled=100)
    other, *_ = plant(8, 20, "unrelated", unlabelled=100)
    random, own = (restrict(same, find).variance for find in (find_random_axes, find_own_axes))
    from_same, from_other = (
        restrict(problem, find_source_axes).variance for problem in (same, other)
    )
    assert own > from_same > 2 * from_other
    assert from_other == pytest.approx(random, abs=0.1)


def test_directions_are_at_right_angles() -> None:
    problem, *_ = plant(8, 20)
    for find in (find_source_axes, find_own_axes, find_random_axes):
        axes = find(problem, 5)
        np.testing.assert_allclose(axes.T @ axes, np.eye(5), atol=1e-5)


def test_a_sparse_model_of_three_classes_of_which_one_is_missing() -> None:
    x = np.repeat(np.eye(3), 10, axis=0)
    y = np.repeat([0, 1, 2], 10)
    assert (answer_sparsely(x, y, x, 3, 0).argmax(axis=1) == y).all()
    two = answer_sparsely(x[:20], y[:20], x[:20], 3, 0)
    assert (two.argmax(axis=1) == y[:20]).all()
    assert (two[:, 2] == 0).all()
    one = answer_sparsely(x[:10], y[:10], x, 3, 0)
    assert (one[:, 0] == 1).all()


def test_neighbours_in_the_order_of_genes_are_of_one_program() -> None:
    problem, *_ = plant(9, 0, source=300, genes=60, noise=0.3)
    order = order_genes(problem.source)
    assert sorted(order) == list(range(60))
    assert (np.diff(order % PROGRAMS) == 0).sum() > 40


def plant_sets(seed: int) -> tuple[np.ndarray, list[str], dict[str, list[str]], np.ndarray]:
    rng = np.random.default_rng(seed)
    activity = rng.gamma(2, 1, (50, 4))
    loadings = np.zeros((4, 160))
    for number in range(4):
        loadings[number, number * 20 : number * 20 + 20] = rng.uniform(0.5, 1.5, 20)
    genes = [f"g{number}" for number in range(160)]
    sets = {f"planted {n}": genes[n * 20 : n * 20 + 20] for n in range(4)}
    sets |= {f"other {n}": list(rng.choice(genes, 20, replace=False)) for n in range(10)}
    return activity @ loadings + 0.5 * rng.normal(size=(50, 160)), genes, sets, activity


def test_variables_named_by_planted_sets_follow_them_here_and_elsewhere() -> None:
    x, genes, sets, activity = plant_sets(0)
    programs = learn_programs(x[:35], genes, sets)
    assert (programs.loadings >= 0).all()
    assert (programs.memberships >= 0).all()
    turned = np.random.default_rng(1).permutation(160)[20:]  # another order, some not measured
    there = programs.project(x[35:, turned], [genes[number] for number in turned])
    for number in range(4):
        variable = programs.named(f"PLANTED {number}")
        here = programs.activities[:, variable]
        assert np.corrcoef(here, activity[:35, number])[0, 1] > 0.9
        assert np.corrcoef(there[:, variable], activity[35:, number])[0, 1] > 0.8
        assert programs.hidden_auc[f"planted {number}", variable] > 0.9
        assert programs.hidden_fdr[f"planted {number}", variable] < 0.05


def test_sets_without_genes_and_names_without_sets() -> None:
    x, genes, sets, _ = plant_sets(0)
    with pytest.raises(InputError, match="None of the 1 gene sets has at least 10 of the 160"):
        learn_programs(x, genes, {"tiny": genes[:9]})
    programs = learn_programs(x, genes, sets, variables=4)
    assert programs.activities.shape == (50, 4)
    with pytest.raises(InputError, match="No latent variable has a gene set named 'Plasma'"):
        programs.named("Plasma")
    with pytest.raises(InputError, match="same kind of ids"):
        programs.project(x, [f"ENSG{number}" for number in range(160)])


def test_rank_values_by_hand() -> None:
    training = np.array([[2.0, 0.0, 8.0, 0.0], [4.0, 4.0, 2.0, 0.0]])
    usual = usual_values(training, logged=False)
    np.testing.assert_allclose(usual, [0.3, 0.4, 0.5, np.nan])
    # 4 / .3, 3 / .4 and none, whatever the total
    found = rank_values(np.array([[4.0, 3.0, 0.0, 5.0]]), usual, logged=False)
    np.testing.assert_allclose(found, [[1, 0.5, 0, 0]])
    usual = usual_values(training, logged=True)
    np.testing.assert_allclose(usual, [3, 2, 5, 0])
    found = rank_values(np.array([[6.0, -3.0, 7.0, 5.0]]), usual, logged=True)
    np.testing.assert_allclose(found, [[2 / 3, 0, 1 / 3, 1]])  # 3 above, 5 below, 2, 5 above


def test_rank_values_do_not_see_how_deep_a_sample_was_sequenced() -> None:
    counts = np.random.default_rng(0).poisson(20, (10, 30)).astype(float)
    usual = usual_values(counts, logged=False)
    deeper = counts * 2.0 ** np.arange(10)[:, None]
    np.testing.assert_array_equal(
        rank_values(counts, usual, logged=False), rank_values(deeper, usual, logged=False)
    )


ORTHOLOGS = [("A", "a"), ("B", "b"), ("C", "c1"), ("C", "c2"), ("D", "x"), ("E", "x")]


def test_sets_are_carried_by_orthologs() -> None:
    sets = {"S": ["A", "B", "C", "none"], "T": ["A", "D", "E"], "U": ["none"]}
    assert carry_sets(sets, ORTHOLOGS) == {"S": ["a", "b"]}
    every = carry_sets(sets, ORTHOLOGS, one_to_one=False)
    assert every == {"S": ["a", "b", "c1", "c2"], "T": ["a", "x"]}


def test_a_table_of_orthologs_the_wrong_way_round() -> None:
    with pytest.raises(InputError, match="swap the two"):
        carry_sets({"S": ["a", "b"]}, ORTHOLOGS)


def test_sets_that_are_enriched_in_both_species() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = [f"H{n}" for n in range(200)], [f"m{n}" for n in range(200)]
    sets = {f"set {n}": ours[n * 20 : n * 20 + 20] for n in range(10)}
    effect = np.repeat([2.0, -2.0] + [0.0] * 8, 20)
    scores = [effect + 0.5 * rng.normal(size=200) for _ in range(2)]
    pairs = list(zip(ours, theirs, strict=True))
    found = compare_species((ours, scores[0]), (theirs, scores[1]), sets, pairs)
    assert set(found.table["set"][:2]) == {"set 0", "set 1"}
    assert found.agree == 2
    against = compare_species((ours, scores[0]), (theirs, -scores[1]), sets, pairs)
    assert against.agree == 0
    assert against.correlation < found.correlation
