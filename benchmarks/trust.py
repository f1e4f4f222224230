"""Whether the trust card tells good attributions from bad ones: planted cases of known kind.

    GENECANVAS_HOME=cards python -m benchmarks.trust [SEEDS] [HEAD]

For each seed a dataset is simulated and three runs are trained on it: a good one, one with
permuted labels, and one whose learning rate is so small that it learns nothing. Four cards are
measured: integrated gradients of each run, and guided backpropagation of the good one. The card is
right if it is red for the bad ones and not red for the good one. A linear head always learns, and
its gradient is what it has learned, so that two of them are left: permuted labels, and the good
one. Prints a row a card, with the
AUROC of the planted genes in the consensus ranking and the lights that are red, then the count.
Runs and cards that the home holds already are not computed again (0 CPU s).
"""

import sys
import time

import numpy as np
import torch

from core.data.simulate import simulate
from core.data.store import add_dataset
from core.explain.evidence import measure_planted
from core.explain.methods import METHODS, Recipe
from core.home import run_folder
from core.runs.execute import Silent, execute
from core.runs.explain import class_genes
from core.runs.explaining import collect_evidence
from core.runs.result import load_result, result_path
from core.runs.spec import RunSpec
from core.runs.trust import load_evidence
from core.runs.whatif import permuted_labels

SAMPLES, GENES, PAINTED = 400, 300, 256
SEEDS = 6


def main(seeds: str = str(SEEDS), head: str = "scales") -> None:
    """Print a row for each card, and how many are right."""
    torch.set_num_threads(1)
    lights = {True: [], False: []}
    print("| case | method | seed | accuracy | AUROC | card | right | red lights | amber lights | "
          "CPU s |")  # fmt: skip
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for seed in range(int(seeds)):
        data, truth = simulate(SAMPLES, GENES, seed=1000 + seed)
        good = make_spec(add_dataset(data, f"Planted {seed}").id, seed, head)
        cases = [("permuted labels", permuted_labels(good), Recipe()), ("good", good, Recipe())]
        if not good.network.is_solved:
            cases += [
                ("untrained", untrained(good), Recipe()),
                ("good", good, Recipe("guided_backprop")),
            ]
        for case, spec, recipe in cases:
            started = time.process_time()
            if not result_path(spec.id).exists():
                run_folder(spec.id).mkdir(parents=True)
                execute(spec, run_folder(spec.id), Silent())
            collect_evidence(spec.id, recipe, lambda *_: None)
            card = load_evidence(spec.id, recipe)
            genes = class_genes(spec.id, recipe)
            believable = case == "good" and recipe == Recipe()
            lights[believable].append(card.light)
            red, amber = (
                ", ".join(row.name for row in card.evidence if row.light == light)
                for light in ("red", "amber")
            )
            right = (card.light != "red") == believable
            print(f"| {case} | {METHODS[recipe.method].title} | {seed} | "
                  f"{load_result(spec.id).metrics['accuracy']:.2f} | "
                  f"{measure_planted(genes, truth).value:.2f} | {card.light} | "
                  f"{'yes' if right else 'NO'} | {red} | {amber} | "
                  f"{time.process_time() - started:.0f} |", flush=True)  # fmt: skip
    bad, good_lights = lights[False], np.array(lights[True])
    print(f"\n{bad.count('red')} of {len(bad)} bad ones are red; of {len(good_lights)} good ones "
          f"{(good_lights == 'green').sum()} are green, {(good_lights == 'amber').sum()} amber, "
          f"{(good_lights == 'red').sum()} red.")  # fmt: skip


def make_spec(dataset: str, seed: int, head: str) -> RunSpec:
    """A small run of two folds that learns the simulation well."""
    network = {"image_size": 32, "pool": 4, "head": head}
    training = {"epochs": 15, "batch_size": 16, "precision": "float32"}
    if head == "linear":
        network["freeze"], training = "backbone", {"augmentation": "none"}
    return RunSpec.parse(
        {
            "cohort": {"dataset": dataset, "label": "tumour_type", "group": "patient"},
            "preparation": {"genes": PAINTED},
            "network": network,
            "training": training,
            "split": {"kind": "kfold", "folds": 2},
            "seed": seed,
        }
    )


def untrained(spec: RunSpec) -> RunSpec:
    """The run with a learning rate that moves nothing."""
    document = spec.model_dump(mode="json")
    document["training"] |= {"learning_rate": 1e-12, "epochs": 1}
    return RunSpec.parse(document)


if __name__ == "__main__":
    main(*sys.argv[1:])
