"""Every method of transfer on problems whose answer was planted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from core.errors import InputError
from core.explain.enrichment import prerank
from core.models.gene_models import order_genes
from core.transfer.deciding import attribute_genes
from core.transfer.methods import TRANSFER_METHODS
from core.transfer.methods.adversarial import RIDGE, separation
from core.transfer.methods.components import (
    find_own_axes,
    find_random_axes,
    find_source_axes,
    restrict,
)
from core.transfer.methods.image_folder import (
    SHUFFLED,
    SIDE,
    Images,
    compare_networks,
    divide,
    find_copies,
    read_images,
)
from core.transfer.methods.light_ensemble import _thin, compare_under_imbalance
from core.transfer.methods.linear import answer_sparsely, domain_auc
from core.transfer.methods.pathways import learn_programs
from core.transfer.methods.rank_value import rank_values, usual_values
from core.transfer.methods.self_training import self_train
from core.transfer.methods.set_regression import predict_sets, similarity
from core.transfer.methods.species import carry_sets, compare_species
from core.transfer.planted import PROGRAMS, plant
from core.transfer.problem import Problem, TransferMethod

RECORDS = list(TRANSFER_METHODS)


def auroc(method: TransferMethod, problem: Problem, y: np.ndarray) -> float:
    return roc_auc_score(y, method.fit(problem)[:, 1])


@pytest.fixture
def few_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks learn for two passes: what holds whatever they have learned needs no more."""
    from core.models import gene_networks

    train = gene_networks.train
    monkeypatch.setattr(
        gene_networks, "train",
        lambda network, loss, samples, seed, epochs, **more: train(
            network, loss, samples, seed, min(epochs, 2), **more
        ),
    )  # fmt: skip


@pytest.mark.usefixtures("few_passes")
@pytest.mark.parametrize("method", RECORDS, ids=lambda method: method.name)
def test_probabilities_of_every_method(method: TransferMethod) -> None:
    """Of its smallest number of target samples: a tested sample gets the same ones when it is asked
    again, whoever is asked about beside it."""
    numbers = method.learns_from == "numbers"
    problem, *_ = plant(
        1, method.min_target, numbers=numbers, source=40, unlabelled=12, test=9, genes=36
    )
    problem = replace(problem, sets={f"set {n}": problem.genes[n::3] for n in range(3)})
    found = method.fit(problem)
    assert found.shape == (9, 2)
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1)
    beside = replace(problem, test=np.concatenate([problem.test[:4], 10 * problem.test[4:8]]))
    np.testing.assert_allclose(method.fit(beside)[:4], found[:4], atol=1e-5)


@pytest.mark.parametrize("name", ["frozen_4", "adversarial", "convolution", "two_heads"])
def test_what_learns_from_classes_gains_by_shared_programs_and_loses_by_swapped_ones(
    name: str,
) -> None:
    method, found = TRANSFER_METHODS[name], {}
    for kind in ("shared", "opposite"):
        problem, y, _ = plant(3, 4, kind, effect=3.0, source=80, unlabelled=20, genes=36)
        found[kind] = auroc(method, problem, y)
    assert found["shared"] > 0.8
    assert found["opposite"] < found["shared"] - 0.2


@pytest.mark.parametrize("name", ["scratch", "frozen_0", "convolution", "two_heads"])
def test_genes_that_decide_are_those_that_were_planted(name: str) -> None:
    """By several methods of attribution, as runs are explained."""
    problem, y, _ = plant(5, 30, effect=4.0, source=80, test=40, genes=48)
    x = np.concatenate([problem.source, problem.target])
    labels = np.concatenate([problem.source_labels, problem.target_labels])
    apart = np.abs(x[labels == 1].mean(axis=0) - x[labels == 0].mean(axis=0))
    for attribution in ("integrated_gradients", "gradient_shap"):
        scores = attribute_genes(TRANSFER_METHODS[name], problem, y, attribution)
        assert scores.shape == (40, 48)
        size = np.abs(scores).mean(axis=0)
        planted = np.argsort(-apart)[:8]
        assert size[planted].mean() > 1.5 * np.delete(size, planted).mean()


def test_only_networks_have_genes_that_an_attribution_scores() -> None:
    problem, y, _ = plant(0, 6, source=20, genes=12)
    with pytest.raises(InputError, match="is no network"):
        attribute_genes(TRANSFER_METHODS["source_components"], problem, y)
    with pytest.raises(InputError, match="scores regions or sets"):
        attribute_genes(TRANSFER_METHODS["scratch"], problem, y, "gradcam")


def test_what_methods_say_of_themselves() -> None:
    """Numbers alone, and nothing where too little is left to say it by."""
    problem, _, hidden = plant(1, 8, source=40, unlabelled=30, genes=36, effect=3.0)
    problem = replace(problem, sets={f"set {n}": problem.genes[n::3] for n in range(3)})
    for method in RECORDS:
        if method.examine is not None and method.name not in ("masked_genes", "adversarial_off"):
            said = method.examine(problem, hidden)
            assert said
            assert all(np.isfinite(value) for value in said.values()), method.name
    few = replace(problem, unlabelled=problem.unlabelled[:3])
    assert TRANSFER_METHODS["adversarial"].examine(few, hidden[:3]) == {}


def test_numbers_of_the_source_tell_the_target_s_classes() -> None:
    method, found = TRANSFER_METHODS["numbers_to_classes"], {}
    for kind in ("shared", "permuted"):
        problem, y, _ = plant(
            3, 6, kind, effect=3.0, source=100, unlabelled=20, genes=36, numbers=True
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


def test_self_training_takes_no_round_that_isn_t_surely_better() -> None:
    problem, *_ = plant(0, 10, effect=0.5, genes=36)
    assert self_train(problem).chosen == 0


def test_what_a_linear_adversary_sees_by_hand() -> None:
    """Means 0 and 2 around 1, variance 1 within: (1 + 1) / (1 + RIDGE); nothing of equal means."""
    import torch

    features = torch.tensor([[-1.0], [1.0], [1.0], [3.0]])
    domains = torch.tensor([0, 0, 1, 1])
    assert float(separation(features, domains)) == pytest.approx(2 / (1 + RIDGE), rel=1e-5)
    assert float(separation(features, torch.tensor([0, 1, 1, 0]))) == pytest.approx(0, abs=1e-6)


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
    loadings = np.zeros((4, 100))
    for number in range(4):
        loadings[number, number * 20 : number * 20 + 20] = rng.uniform(0.5, 1.5, 20)
    genes = [f"g{number}" for number in range(100)]
    sets = {f"planted {n}": genes[n * 20 : n * 20 + 20] for n in range(4)}
    sets |= {f"other {n}": list(rng.choice(genes, 20, replace=False)) for n in range(4)}
    return activity @ loadings + 0.5 * rng.normal(size=(50, 100)), genes, sets, activity


def test_variables_named_by_planted_sets_follow_them_here_and_elsewhere() -> None:
    x, genes, sets, activity = plant_sets(0)
    programs = learn_programs(x[:35], genes, sets)
    assert (programs.loadings >= 0).all()
    assert (programs.memberships >= 0).all()
    turned = np.random.default_rng(1).permutation(100)[10:]  # another order, some not measured
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
    with pytest.raises(InputError, match="None of the 1 gene sets has at least 10 of the 100"):
        learn_programs(x, genes, {"tiny": genes[:9]})
    programs = learn_programs(x, genes, sets, variables=4)
    assert programs.activities.shape == (50, 4)
    with pytest.raises(InputError, match="No latent variable has a gene set named 'Plasma'"):
        programs.named("Plasma")
    with pytest.raises(InputError, match="same kind of ids"):
        programs.project(x, [f"ENSG{number}" for number in range(100)])


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


def test_how_much_two_sets_hold_of_each_other_by_hand() -> None:
    found = similarity([{"A", "B"}, {"B", "C", "D"}], [{"a", "b", "c1"}], ORTHOLOGS)
    np.testing.assert_allclose(found[0], [1, 1 / 3, 2 / 3])  # 1 of 3 genes; 2 of 2 and 2 of 3
    np.testing.assert_allclose(found[2], [2 / 3, 2 / 3, 1])  # B and C of 3; b and c1 of 3


def test_sets_of_a_species_without_data() -> None:
    rng = np.random.default_rng(0)
    genes = [f"H{n}" for n in range(120)]
    sets = {f"set {n}": genes[n * 10 : n * 10 + 12] for n in range(11)}
    pairs = [(gene, gene.replace("H", "m")) for gene in genes]
    scores = np.repeat([2.0] * 3 + [0.0] * 9, 10) + 0.3 * rng.normal(size=120)
    found = predict_sets((genes, scores), sets, pairs, permutations=50)
    assert sorted(found.table["set"]) == sorted(sets)
    assert found.table["copied"].isin(prerank(genes, scores, sets, 50)["nes"]).all()
    assert found.discrepancy <= found.before + 1e-12, "the two species' sets are the same here"
    with pytest.raises(InputError, match="3 gene sets are there in both species"):
        predict_sets((genes, scores), {name: sets[name] for name in list(sets)[:3]}, pairs)


def test_so_many_of_the_rare_class_are_left() -> None:
    y = np.repeat([0, 1], [40, 10])
    kept = _thin(y, 5, seed=0)
    assert np.bincount(y[kept]).tolist() == [40, 8]
    assert np.bincount(y[_thin(y, 1, seed=0)]).tolist() == [10, 10]
    with pytest.raises(InputError, match="At 1:20 2 samples of the rare class are left"):
        _thin(y, 20, seed=0)


@pytest.mark.usefixtures("few_passes")
def test_two_light_networks_beside_their_members() -> None:
    problem, y, _ = plant(0, 0, source=40, test=20, genes=36)
    table = compare_under_imbalance(
        problem.source, problem.source_labels, problem.test, y, problem.genes, ratios=(1, 5)
    )
    assert table["line"].tolist()[:5] == [
        "joined", "SqueezeNet", "three convolutions", "mean of both",
        "logistic regression, class weights",
    ]  # fmt: skip
    assert table["rare"].tolist() == [20] * 5 + [4] * 5
    assert table["balanced_accuracy"].between(0, 1).all()


def draw_images(number: int) -> Images:
    """Two classes by their colour, each image of another patient."""
    rng = np.random.default_rng(0)
    labels = np.arange(number) % 2
    cells = rng.integers(0, 120, (number, 8, 8, 3))
    cells[np.arange(number), :, :, labels] += 120
    pixels = cells.repeat(4, axis=1).repeat(4, axis=2).astype(np.uint8)
    names = tuple(f"c{label}/{n}.png" for n, label in enumerate(labels))
    return Images(names, pixels, ("c0", "c1"), labels, np.array(names))


def test_copies_on_both_sides_are_told_and_left_out() -> None:
    images = draw_images(40)
    asked = divide(images, 0)
    one, other = np.flatnonzero(asked)[0], np.flatnonzero(~asked & (images.labels == 1))[0]
    images.pixels[other] = images.pixels[one].clip(1, 254)  # as saving with losses changes it
    assert find_copies(images.pixels) == [tuple(sorted((one, other)))]
    found = compare_networks(images, [("squeezenet1_1", "scratch")])
    (copies,) = found.copies
    assert {copies.one, copies.other} == {images.names[one], images.names[other]}
    assert copies.across
    assert copies.other_class == (images.labels[one] == 0)
    assert found.left_out == 1
    assert found.table["network"].tolist() == ["SqueezeNet 1.1, random weights", SHUFFLED]
    assert found.table["accuracy"][1] < 0.8, "labels that mean nothing can't be learned"


def test_patients_of_images_are_on_one_side() -> None:
    images = draw_images(40)
    images = replace(images, patients=(np.arange(40) // 4).astype(str))
    asked = divide(images, 0)
    assert 0 < asked.sum() < 40
    assert not set(images.patients[asked]) & set(images.patients[~asked])


def test_a_folder_of_images(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"c{number}").mkdir()
        with pytest.raises(InputError, match="a folder of images for each class"):
            read_images(tmp_path)
        colour = np.full((20, 30, 3), 100 * number, np.uint8)
        Image.fromarray(colour).save(tmp_path / f"c{number}/a.png")
    images = read_images(tmp_path, {"c0/a.png": "Ann", "c1/a.png": "Bob"})
    assert images.classes == ("c0", "c1")
    assert images.patients.tolist() == ["Ann", "Bob"]
    assert images.pixels.shape == (2, SIDE, SIDE, 3)
    assert (images.pixels[1] == 100).all()


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
