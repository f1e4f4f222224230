"""Which recipe trains best: named variants over the same repeated splits, beside baseline models.

    python -m benchmarks.recipes EXPRESSION SAMPLES --variants default small_images --seeds 3 \
        --label tumour_type --group patient --where sample_type=tumour --weights file:PATH

Several label columns make one class of each combination.

Every variant is a run as the app makes it, one for each seed; a seed decides the split too, so that
variants meet on the same samples. A run that is there already isn't trained again. The difference
from baseline models on the same genes is tested over the splits (Nadeau and Bengio 2003).
"""

import argparse
from pathlib import Path

import numpy as np

from core.data.cohort import Cohort
from core.data.read import read_dataset
from core.data.store import add_dataset
from core.evaluation.differences import corrected_t
from core.home import run_folder
from core.runs.execute import Silent, execute
from core.runs.result import RunResult, load_result, result_path
from core.runs.spec import PRESETS, RunSpec

VARIANTS: dict[str, dict] = {
    "default": {},
    "frozen_backbone": {"network": {"freeze": "backbone"}},
    "small_images": {"network": {"image_size": 32}, "training": {"epochs": 40}},
    **{preset.name: preset.parts for preset in PRESETS if preset.name != "paper"},
    "recommended_at_64": {
        **PRESETS["recommended"].parts,
        "network": {**PRESETS["recommended"].parts["network"], "image_size": 64},
    },
    "small_frozen": {
        "network": {"image_size": 32, "freeze": "backbone"},
        "training": {"epochs": 40},
    },
    "frozen_class_weights": {
        "network": {"image_size": 32, "freeze": "backbone"},
        "training": {"epochs": 40, "class_weights": True},
    },
    "frozen_batches_64": {
        "network": {"image_size": 32, "freeze": "backbone"},
        "training": {"epochs": 40, "batch_size": 64},
    },
    "frozen_longer": {
        "network": {"image_size": 32, "freeze": "backbone"},
        "training": {"epochs": 100, "batch_size": 64, "learning_rate": 1e-3},
    },
    "half_unfrozen": {
        "after": "small_frozen",
        "network": {"image_size": 32, "freeze": "fire4_5"},
        "training": {"epochs": 20},
    },
    "unfrozen": {
        "after": "half_unfrozen",
        "network": {"image_size": 32},
        "training": {"epochs": 20},
    },
    "frozen_thinning": {
        "network": {"image_size": 32, "freeze": "backbone"},
        "training": {"epochs": 40, "augmentation": "thinning"},
    },
    "frozen_repeat_noise": {
        "network": {"image_size": 32, "freeze": "backbone"},
        "training": {"epochs": 40, "augmentation": "repeat_noise"},
    },
    "frozen_mixup": {
        "network": {"image_size": 32, "freeze": "backbone"},
        "training": {"epochs": 40, "augmentation": "mixup"},
    },
    "few_epochs": {"network": {"image_size": 32}, "training": {"epochs": 12}},
    "few_genes_mixup": {
        "network": {"image_size": 32},
        "training": {"epochs": 12, "augmentation": "mixup"},
    },
    "class_weights": {"training": {"class_weights": True}},
    "last_stage_head": {"network": {"head": "position"}},
    "torchvision_head": {"network": {"head": "torchvision"}},
    "best_epoch": {"training": {"keep": "best", "patience": 15}},
    "no_augmentation": {"training": {"augmentation": "none"}},
    "geometric": {"training": {"augmentation": "geometric"}},
    "file_order": {"layout": {"name": "order"}},
    "random_layout": {"layout": {"name": "random"}},
    "scratch": {"network": {"weights": "scratch"}},
    "larger_images": {"network": {"image_size": 96}},
    "longer": {"training": {"epochs": 60}},
    "less_validation": {"split": {"validation": 0.05}},
    "half_the_rate": {"training": {"learning_rate": 2.5e-4}},
    "more_dropout": {"network": {"dropout": 0.5}},
    "small_batches": {"training": {"batch_size": 16}},
}
"""Name -> what differs from the default recipe, as in a run's YAML; `after`: the variant whose
network of the same split is trained on (gradual unfreezing: Howard and Ruder 2018,
arXiv:1801.06146)."""


def main() -> None:
    """Print a line a variant."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("expression", type=Path)
    parser.add_argument("samples", type=Path, nargs="?")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--label", nargs="+", default=["tumour_type"])
    parser.add_argument("--group")
    parser.add_argument("--where", help="COLUMN=VALUE")
    parser.add_argument("--network", default="squeezenet1_1")
    parser.add_argument("--weights", default="scratch")
    parser.add_argument("--genes", type=int)
    parser.add_argument("--metric", default="accuracy", help="such as balanced_accuracy, macro_f1")
    given = parser.parse_args()

    data, label = read_dataset(given.expression, given.samples), " ".join(given.label)
    data.obs[label] = data.obs[given.label].agg(" ".join, axis=1)
    dataset = add_dataset(data, "recipes").id
    column, _, value = (given.where or "").partition("=")
    cohort = Cohort(
        dataset=dataset, label=label, group=given.group, where={column: [value]} if column else {}
    )
    common = {"cohort": cohort.model_dump()}
    if given.genes:
        common["preparation"] = {"genes": given.genes}
    print(f"{'variant':24} {given.metric}, and difference from baseline models in points (p)")
    for name in given.variants:
        results = [
            train(make_spec(name, {**common, "seed": seed}, given.network, given.weights))
            for seed in range(given.seeds)
        ]
        print(describe(name, results, given.metric), flush=True)


def make_spec(name: str, common: dict, backbone: str, weights: str) -> RunSpec:
    """A variant's run; one that goes on from another has that trained first."""
    parts = dict(VARIANTS[name])
    if before := parts.pop("after", None):
        weights = f"run:{train(make_spec(before, common, backbone, weights)).run}"
    network = {"backbone": backbone, "weights": weights, **parts.get("network", {})}
    return RunSpec.parse({**parts, **common, "network": network})


def train(spec: RunSpec) -> RunResult:
    """The run's result, trained unless it is there."""
    if not result_path(spec.id).exists():
        execute(spec, run_folder(spec.id), Silent())
    return load_result(spec.id)


def describe(name: str, results: list[RunResult], metric: str) -> str:
    """Mean and SD over the splits, and beside baseline models, in a line."""
    network = np.array([result.metrics[metric] for result in results])
    first, columns = results[0], [f"{network.mean():.3f} ± {network.std(ddof=1):.3f}"]
    for baseline in ("tuned_linear", "logistic_regression"):
        plain = np.array([result.baselines[baseline][metric] for result in results])
        difference = corrected_t(
            network - plain, first.n_test / (first.n_train + first.n_validation)
        )
        columns.append(
            f"{baseline} {plain.mean():.3f} ± {plain.std(ddof=1):.3f}: "
            f"{100 * difference.mean:+.1f} (p = {difference.p:.2g})"
        )
    seconds = np.mean([result.seconds for result in results])
    return f"{name:24} {'; '.join(columns)}; {seconds:.0f} s   " + " ".join(
        f"{value:.3f}" for value in network
    )


if __name__ == "__main__":
    main()
