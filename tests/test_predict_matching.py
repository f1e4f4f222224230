"""The match card: each cohort is right, warned of, or refused in one sentence."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from anndata import AnnData

from core.data.simulate import simulate
from core.data.store import add_dataset, load_dataset
from core.files import write_json
from core.home import run_folder
from core.predict.genes import match_genes
from core.predict.matching import MatchCard, match
from core.predict.model import Model, ensure_references, load_model
from core.predict.price import price_missing, take_away
from core.predict.request import PredictRequest
from core.predict.together import prepare_rows
from core.runs.execute import Silent, execute
from core.runs.outcome import load_outcome
from core.runs.spec import RunSpec
from core.runs.study import open_samples

CPU = torch.device("cpu")


def spec_of(dataset: str, **fields) -> RunSpec:
    return RunSpec.parse(
        {
            "cohort": {"dataset": dataset, "label": "tumour_type", "group": "patient"},
            "preparation": {"genes": 60},
            "network": {"image_size": 32, "pool": 2},
            "training": {"epochs": 1, "batch_size": 16, "precision": "float32"},
            "split": {"kind": "kfold", "folds": 2},
        }
        | fields
    )


def as_log2(data: AnnData) -> AnnData:
    x = np.log2(data.X / data.X.sum(axis=1, keepdims=True) * 1e6 + 1).astype(np.float32)
    return change(data, x, scale="log2")


def change(
    data: AnnData,
    x: np.ndarray | None = None,
    *,
    scale: str | None = None,
    genes: list[str] | None = None,
    samples: list[str] | None = None,
) -> AnnData:
    """The same samples with other values or names."""
    obs = data.obs if samples is None else data.obs.set_axis(samples)
    var = pd.DataFrame(index=data.var_names if genes is None else genes)
    uns = {"scale": scale or data.uns["scale"]}
    return AnnData(np.asarray(data.X if x is None else x), obs=obs, var=var, uns=uns)


def cohorts() -> tuple[AnnData, AnnData]:
    """Simulated tumours for training, and others."""
    data = simulate(150, 200, seed=1)[0]
    return data[:90].copy(), data[90:].copy()


@pytest.fixture(scope="module")
def trained(shared_home: Path) -> tuple[Path, str, str]:
    """A home with a tiny run of two folds on counts, one on log2 values, and their ids."""
    data = cohorts()[0]
    runs = []
    for one, split in ((data, {"kind": "kfold", "folds": 2}), (as_log2(data), {})):
        spec = spec_of(add_dataset(one, "tiny").id, split=split)
        execute(spec, run_folder(spec.id), Silent(), CPU)
        ensure_references(spec.id, lambda done, of: None)
        runs.append(spec.id)
    return shared_home, *runs


@pytest.fixture
def counts(trained: tuple[Path, str, str], home: Path) -> Model:
    shutil.copytree(trained[0], home, dirs_exist_ok=True)
    return load_model(trained[1])


@pytest.fixture
def log2(trained: tuple[Path, str, str], home: Path) -> Model:
    shutil.copytree(trained[0], home, dirs_exist_ok=True)
    return load_model(trained[2])


@pytest.fixture
def others() -> AnnData:
    """Other samples of the same simulated tumours, as counts."""
    return change(cohorts()[1], samples=[f"new {n}" for n in range(60)])


def card_of(model: Model, data: AnnData, together: str = "none", **cohort) -> MatchCard:
    cohort = {"dataset": "0" * 64} | cohort
    asked = PredictRequest(model=model.id, cohort=cohort, together=together)
    return match(model, data, asked, lambda done, of: None)


def codes(card: MatchCard, severity: str | None = None) -> list[str]:
    return [f.code for f in card.findings if severity in (None, f.severity)]


def message(card: MatchCard, code: str) -> str:
    return next(finding.message for finding in card.findings if finding.code == code)


def test_a_cohort_like_training_has_nothing_against_it(counts: Model, others: AnnData) -> None:
    shuffled = others[:, ::-1].copy()
    for data in (others, shuffled):
        card = card_of(counts, data)
        assert (card.found, card.share_found, card.weight_found) == (card.needed, 1, 1)
        assert (card.missing, card.price, card.learned_from) == ([], None, [])
        assert (card.scale, card.expected_scale) == ("counts", "counts")
        assert len(card.quantiles) == len(card.training_quantiles) == 101
        assert card.findings == []


def test_the_card_is_a_document(counts: Model, others: AnnData) -> None:
    card = card_of(counts, others[:, :150].copy())
    assert MatchCard.model_validate_json(card.model_dump_json()) == card


def test_missing_genes_are_weighed_and_have_a_price(counts: Model, others: AnnData) -> None:
    weight: dict[str, float] = {}
    for reference in counts.references:
        for gene, share in zip(reference.genes, reference.importance, strict=True):
            weight[gene] = weight.get(gene, 0) + share / 2
    lacking = sorted(weight, key=weight.get, reverse=True)[5 : len(weight) * 3 // 10 + 5]
    card = card_of(counts, others[:, ~others.var_names.isin(lacking)].copy())
    assert card.needed == len(weight)
    assert card.found == len(weight) - len(lacking)
    assert [gene for gene, _ in card.missing] == lacking
    np.testing.assert_allclose([w for _, w in card.missing], [weight[g] for g in lacking])
    np.testing.assert_allclose(card.weight_found, 1 - sum(weight[gene] for gene in lacking))
    assert codes(card, "warning") == ["genes"]
    assert card.price.describe() in message(card, "genes")
    assert card.price.genes == len(lacking)
    assert not card.refused


def test_less_than_half_of_the_weight_is_refused(counts: Model, others: AnnData) -> None:
    weight = pd.concat(pd.Series(r.importance, r.genes) for r in counts.references)
    kept = weight.groupby(level=0).sum().sort_values().index[:20]
    card = card_of(counts, others[:, others.var_names.isin(kept)].copy())
    assert codes(card, "error") == ["genes"]
    assert f"at least 50% are needed. Missing are above all {card.missing[0][0]}" in message(
        card, "genes"
    )


def test_a_gene_that_is_not_there_at_all(counts: Model, others: AnnData) -> None:
    card = card_of(counts, change(others, genes=[f"PROBE{n}" for n in range(200)]))
    assert (card.found, card.weight_found, card.quantiles) == (0, 0, [])
    assert codes(card, "error") == ["genes"]


def test_the_price_is_that_of_the_held_out_samples(counts: Model) -> None:
    """Without a gene nothing changes; without all of them one answer is given to all."""
    samples, outcome = open_samples(counts.spec), load_outcome(counts.id)
    free = price_missing(counts, samples, [], lambda done, of: None, CPU)
    assert free.complete == pytest.approx(outcome.scores()["accuracy"])
    assert free.complete_interval == pytest.approx(outcome.interval("accuracy"))
    assert (free.masked, free.masked_interval) == (free.complete, free.complete_interval)
    nothing = price_missing(counts, samples, samples.genes, lambda done, of: None, CPU)
    right = 0
    for fold in counts.folds:
        answer = fold.answer(fold.preprocessor.mean[None], CPU).argmax()
        right += (samples.y[fold.locate(samples).test] == answer).sum()
    assert nothing.masked == pytest.approx(right / 90)
    assert nothing.samples == 90
    assert nothing.describe().startswith("Without your 200 missing genes this model names ")


def test_genes_are_taken_away_as_they_are_where_a_cohort_lacks_them(
    log2: Model, others: AnnData
) -> None:
    fold, data = log2.folds[0], as_log2(others)
    lacking = fold.preprocessor.genes[::3]
    np.testing.assert_array_equal(
        take_away(fold.preprocessor, fold.prepare(data), lacking),
        prepare_rows(fold, log2.references[0], data[:, ~data.var_names.isin(lacking)], "none"),
    )


def test_another_scale_is_refused_unless_it_is_taken_as_logarithms(
    counts: Model, log2: Model, others: AnnData
) -> None:
    assert codes(card_of(counts, as_log2(others)), "error") == ["together"]
    card = card_of(log2, others)
    assert "learned from log2 values, and these are counts" in message(card, "together")
    assert not card_of(log2, others, "quantile").refused
    assert codes(card_of(log2, others, "gene_moments"), "warning") == ["mix"]


def test_log_ratios_are_refused_where_the_floor_takes_their_half(
    log2: Model, others: AnnData
) -> None:
    data = as_log2(others)
    ratios = change(data, data.X - data.X.mean(axis=0))
    card = card_of(log2, ratios)
    assert codes(card, "error") == ["floor"]
    assert "these look like log ratios, centred genes or z scores" in message(card, "floor")
    assert not card_of(log2, ratios, "gene_moments").refused
    assert not card_of(log2, ratios, "quantile").refused


def test_values_on_another_level_are_told(log2: Model, others: AnnData) -> None:
    data = as_log2(others)
    assert codes(card_of(log2, data)) == []
    assert codes(card_of(log2, change(data, data.X + 1))) == [], "a single tissue may be so far off"
    higher = card_of(log2, change(data, data.X + 3))
    assert "genes stand 3.0 log2 units higher than in training" in message(higher, "values")
    stretched = card_of(log2, change(data, 2 * data.X - np.float32(data.X.mean())))
    assert "times as much from one another as in training" in message(stretched, "values")
    rng = np.random.default_rng(0)
    mixed = card_of(log2, change(data, data.X[:, rng.permutation(200)]))
    assert "levels unlike those of training" in message(mixed, "values")


def test_a_table_on_its_side_is_refused(counts: Model, others: AnnData) -> None:
    data = AnnData(
        np.asarray(others.X).T.copy(),
        obs=pd.DataFrame(index=others.var_names),
        var=pd.DataFrame(index=others.obs_names),
        uns={"scale": "counts"},
    )
    card = card_of(counts, data)
    assert codes(card) == ["transposed"]
    assert "the table lies on its side" in message(card, "transposed")


def keep_hgnc(home: Path, symbols: list[str]) -> list[str]:
    """HGNC's list as if it had been fetched, with an Ensembl id for each symbol: these."""
    ids = [f"ENSG{n:011}" for n in range(len(symbols))]
    rows = [f"{symbol}\t\t{gene}" for symbol, gene in zip(symbols, ids, strict=True)]
    path = home / "downloads" / "hgnc" / "hgnc_complete_set.txt"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(["symbol\tprev_symbol\tensembl_gene_id", *rows, ""]))
    write_json(path.with_name(f"{path.name}.json"), {})
    return ids


def test_ensembl_ids_give_what_symbols_give(counts: Model, others: AnnData, home: Path) -> None:
    ids = keep_hgnc(home, others.var_names.tolist())
    renamed = change(others, genes=[f"{gene}.7" for gene in ids])
    card = card_of(counts, renamed)
    assert (card.found, card.missing, card.findings) == (card.needed, [], [])
    assert card.translated[0].startswith("200 genes are named by Ensembl ids here")
    fold, reference = counts.folds[0], counts.references[0]
    np.testing.assert_array_equal(
        prepare_rows(fold, reference, match_genes(counts, renamed).data, "none"),
        fold.prepare(others),
    )
    side = change(others[:5].copy(), samples=ids[:5], genes=[f"patient {n}" for n in range(200)])
    assert codes(card_of(counts, side)) == ["transposed"]


def test_genes_of_a_mouse_are_refused(counts: Model, others: AnnData) -> None:
    mouse = change(others, genes=[gene.capitalize() for gene in others.var_names])
    card = card_of(counts, mouse)
    assert codes(card) == ["species"]
    assert "as those of mouse or rat" in message(card, "species")


def test_a_gene_that_stands_twice_is_refused(counts: Model, others: AnnData) -> None:
    genes = others.var_names.tolist()
    card = card_of(counts, change(others, genes=[genes[1], *genes[1:]]))
    assert codes(card) == ["repeated_genes"]
    assert genes[1] in message(card, "repeated_genes")


def test_a_single_sample(counts: Model, others: AnnData) -> None:
    card = card_of(counts, others[:1].copy())
    assert codes(card) == ["one_sample"]
    assert not card.refused
    assert "needs at least 10 samples" in message(
        card_of(counts, others[:1].copy(), "gene_moments"), "together"
    )


def test_a_cohort_of_one_class(counts: Model, others: AnnData) -> None:
    one = others[others.obs["tumour_type"] == "BRCA"].copy()
    assert one.n_obs >= 10
    card = card_of(counts, one, label="tumour_type")
    assert codes(card) == ["one_class"]
    moved = card_of(counts, one, "gene_moments", label="tumour_type")
    assert codes(moved, "error") == ["together"]
    assert "All samples are BRCA, and 'Mean and SD of each gene' would move them" in message(
        moved, "together"
    )
    assert codes(card_of(counts, one, "gene_moments"), "warning") == ["mix"]


def test_another_mix_of_classes_is_told_where_it_matters(counts: Model, others: AnnData) -> None:
    rows = np.flatnonzero(others.obs["tumour_type"] == "BRCA")[:12].tolist()
    rows += np.flatnonzero(others.obs["tumour_type"] == "LUSC")[:3].tolist()
    data = others[rows].copy()
    card = card_of(counts, data, "gene_moments", label="tumour_type")
    own = counts.record.set_index("class")["n"] / 90
    share = own.sub(pd.Series({"BRCA": 0.8, "LUSC": 0.2}), fill_value=0).abs().sum() / 2
    assert f"They aren't: {share:.0%} of the samples" in message(card, "mix")


def test_counts_without_genes_say_how_large_their_library_is_taken(
    counts: Model, others: AnnData
) -> None:
    needed = set(np.concatenate([fold.preprocessor.genes for fold in counts.folds]))
    rest = [gene for gene in others.var_names if gene not in needed]
    card = card_of(counts, others[:, ~others.var_names.isin(rest)].copy())
    assert card.missing == []
    share = 1 - sum(
        dict(zip(counts.folds[0].preprocessor.all_genes, counts.references[0].library_share,
                 strict=True))[gene] for gene in rest
    )  # fmt: skip
    assert f"taken for {share:.1%} of a library" in message(card, "library")


def test_hardly_sequenced_samples_are_named(counts: Model, others: AnnData) -> None:
    x = others.X.copy()
    x[3] = np.floor(x[3] / 50)
    assert "new 3" in message(card_of(counts, change(others, x)), "poor_library")


def test_training_samples_are_found_by_their_ids_and_by_their_profiles(
    counts: Model, others: AnnData
) -> None:
    own = load_dataset(counts.spec.cohort.dataset)
    card = card_of(counts, own, dataset=counts.spec.cohort.dataset)
    assert card.learned_from == own.obs_names.tolist()
    assert "The model learned from 90 of the 90 samples" in message(card, "learned_from")

    names = [*own.obs_names[:2], "A", "B", *others.obs_names[:20]]
    x = np.concatenate([own.X[:4], others.X[:20]])
    mixed = AnnData(
        x, obs=pd.DataFrame(index=names), var=pd.DataFrame(index=own.var_names),
        uns={"scale": "counts"},
    )  # fmt: skip
    card = card_of(counts, mixed)
    assert card.learned_from == names[:4]
    assert f"2 of them bear another id (A is {own.obs_names[2]}, B is" in message(
        card, "learned_from"
    )


def test_held_out_samples_of_one_fold_were_not_learned_from(log2: Model) -> None:
    own = load_dataset(log2.spec.cohort.dataset)
    card = card_of(log2, own, dataset=log2.spec.cohort.dataset)
    held_out = set(log2.folds[0].test)
    assert held_out
    assert card.learned_from == [name for name in own.obs_names if name not in held_out]


def test_the_id_of_a_training_sample_on_another_profile_is_another_sample(
    counts: Model, others: AnnData
) -> None:
    own = load_dataset(counts.spec.cohort.dataset)
    data = change(others, samples=own.obs_names[:60].tolist())
    card = card_of(counts, data)
    shared = set(card.learned_from)
    assert len(shared) < 10
    assert "namesakes" in codes(card, "warning")


def test_samples_are_found_after_another_processing(log2: Model) -> None:
    """Each gene moved and stretched: the same ids are then the same samples still."""
    own = load_dataset(log2.spec.cohort.dataset)
    rng = np.random.default_rng(0)
    x = own.X * rng.uniform(0.8, 1.2, 200) + rng.uniform(0, 3, 200)
    card = card_of(log2, change(own, x.astype(np.float32)))
    assert set(card.learned_from) == {*log2.folds[0].train, *log2.folds[0].validation}


def test_other_samples_of_known_patients_are_told(counts: Model, others: AnnData) -> None:
    own = load_dataset(counts.spec.cohort.dataset)
    data = change(others)
    data.obs["patient"] = [own.obs["patient"].iloc[0], *[f"nobody {n}" for n in range(59)]]
    card = card_of(counts, data, group="patient")
    assert "of the patients of 1 samples (new 0)" in message(card, "patients")


def test_without_the_runs_dataset_ids_alone_are_compared(counts: Model, others: AnnData) -> None:
    own = load_dataset(counts.spec.cohort.dataset)
    shutil.rmtree(Path(os.environ["GENECANVAS_HOME"]) / "datasets" / counts.spec.cohort.dataset)
    card = card_of(counts, own[:5, :150].copy())
    assert card.learned_from == own.obs_names[:5].tolist()
    assert "by_id" in codes(card, "info")
    assert card.price is None
    assert "what that costs can't be measured" in message(card, "genes")


def test_a_model_that_was_sent_does_not_know_its_samples(counts: Model, others: AnnData) -> None:
    nobody = np.empty(0, dtype=str)
    folds = [replace(fold, train=nobody, validation=nobody, test=nobody) for fold in counts.folds]
    sent = replace(counts, sent=True, folds=folds)
    card = card_of(sent, others[:, :190].copy())
    assert card.learned_from == []
    assert "can't be checked" in message(card, "learned_from")
    assert card.price is None
    assert "The model was sent without its samples" in message(card, "genes")
    own = load_dataset(counts.spec.cohort.dataset)
    card = card_of(sent, own, dataset=counts.spec.cohort.dataset)
    assert card.learned_from == own.obs_names.tolist()
    assert "the very dataset that the model learned from" in message(card, "learned_from")


def test_a_model_of_a_number_has_its_price_in_r2(home: Path, others: AnnData) -> None:
    data = cohorts()[0]
    gene = f"gene:{data.var_names[0]}"
    spec = spec_of(add_dataset(data, "tiny").id, task="regression", split={})
    spec = spec.model_copy(update={"cohort": spec.cohort.model_copy(update={"label": gene})})
    execute(spec, run_folder(spec.id), Silent(), CPU)
    ensure_references(spec.id, lambda done, of: None)
    model = load_model(spec.id)
    lacking = model.references[0].genes[:3]
    card = card_of(model, others[:, ~others.var_names.isin(lacking)].copy(), "gene_moments")
    assert card.price.metric == "r2"
    assert card.price.complete == pytest.approx(load_outcome(spec.id).scores()["r2"])
    assert "this model's R² on its own held-out samples is" in message(card, "genes")
    assert "mix" in codes(card, "warning")
