"""What a finished fold of a run leaves, as one object that predicts, is explained and compared.

`load_fitted` is the one way to read a fold of a finished run, and `read_fitted` one of a model that
somebody sent. Each file is read when it is first asked for, and its hash compared with what the
result recorded; torch is loaded by what needs the network.

    fitted = load_fitted(run, 0)
    fitted.predict(data)      # frame of calibrated probabilities: a row a sample, a column a class
    fitted.features(data)     # stage of the network -> maps (samples, channels, side, side)
    fitted.layout, fitted.preprocessor.genes, fitted.test
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData

from core.data.prepare import Absent, Preprocessor
from core.errors import InputError
from core.explain.gene_sets import group_genes
from core.explain.methods import METHODS, Recipe
from core.files import UNREADABLE
from core.images.layout import GeneLayout
from core.models.spec import OF_GENES
from core.runs.result import Kept, kept_by
from core.runs.source import LAYOUT, Source, source_of
from core.runs.spec import RunSpec
from core.runs.study import Samples, find_fold
from core.training.splits import Fold
from core.training.tasks import TASKS

if TYPE_CHECKING:
    import torch

    from core.explain.case import Case
    from core.images.painter import Painter
    from core.models.network import GeneImageNetwork
    from core.models.weights import RunWeights

BACKGROUND = 100
"""Training samples that attribution methods may start from."""
AT_ONCE = 64
"""Samples whose maps are computed at once."""


@dataclass(frozen=True, eq=False)
class FittedModel:
    """A fold of a finished run: what was fitted, on which samples, and how that went.

    Of a model that somebody sent it isn't known on which samples, nor how it went: `train`,
    `validation`, `test`, `history` and `baselines` are empty.
    """

    kept: Kept = field(repr=False)
    """Where its files stand, and what they must be."""
    fold: int
    """From 0."""
    train: np.ndarray = field(repr=False)
    """Ids of the samples that the network learned from."""
    validation: np.ndarray = field(repr=False)
    """Ids of those that decided the temperature (of classes) and, with `keep: best`, the epoch. A
    head that is solved learned from them as well."""
    test: np.ndarray = field(repr=False)
    """Ids of those that nothing fitted has seen."""
    history: list[dict[str, Any]] = field(repr=False)
    """Measurements of each epoch."""
    kept_epoch: int
    """From 1: the epoch whose weights were kept."""
    baselines: dict[str, np.ndarray] = field(repr=False)
    """Baseline model -> (test samples, outputs) answers, fitted on train and validation."""
    learned_from: list[dict[str, Any]] | None = field(repr=False)
    """What the network has learned from, as `core.runs.leaks.Learned`; None in folds from before
    that was recorded."""
    _record: dict[str, Any] = field(repr=False)

    @property
    def run(self) -> str:
        """Id of the run, or of the model that was sent."""
        return self.kept.id

    @property
    def validation_loss(self) -> float:
        """Of the weights that were kept."""
        return self.history[self.kept_epoch - 1]["validation_loss"]

    @cached_property
    def spec(self) -> RunSpec:
        """The run's."""
        self.kept.check("spec.json")
        return self.kept.spec

    @cached_property
    def scale(self) -> dict[str, float]:
        """What turns the network's answers into those that people read.

        `temperature`, by which class scores are divided; of a regression `mean` and `sd` of the
        training samples.
        """
        try:
            return TASKS[self.spec.task].read_scale(self._record)
        except UNREADABLE:
            raise self.kept.damage(self._name("fold.json")) from None

    @property
    def shares(self) -> dict[str, float] | None:
        """Of a linear head: the share of the genes and of each stage's maps."""
        return self._record.get("shares")

    @cached_property
    def classes(self) -> list[str]:
        """What the network's scores are of, in their order; of a regression the target alone."""
        return self.kept.result.classes

    @cached_property
    def source(self) -> Source:
        """What makes images out of samples."""
        try:
            return source_of(self.spec).load(lambda name: self.kept.check(self._name(name)))
        except ValueError:
            raise self.kept.damage(self._name(LAYOUT)) from None

    @cached_property
    def preprocessor(self) -> Preprocessor:
        """From expression as it was measured to one value in [0, 1] a gene."""
        return self.source.preprocessor

    @cached_property
    def layout(self) -> GeneLayout:
        """Where each gene stands on the image."""
        return GeneLayout.load(self.kept.check(self._name(LAYOUT)))

    @property
    def unseen(self) -> np.ndarray:
        """Ids of genes all of whose pixels the network leaves out; see `NetworkSpec.edge`."""
        network, layout = self.spec.network, self.layout
        first_pixel = np.maximum(layout.row, layout.col) * (network.image_size // layout.shape[0])
        return layout.genes[first_pixel >= network.image_size - network.unseen]

    @cached_property
    def imager(self) -> Painter:
        """From prepared rows, such as (batch, genes), to images (batch, 3, size, size)."""
        return self.source.painter(self.spec.network)

    @cached_property
    def network(self) -> GeneImageNetwork:
        """The trained network, restored without any other weights; on the CPU to begin with."""
        from core.models.network import restore_network

        network = self.untrained(self.spec.seed)
        restore_network(network, self.kept.check(self._name("model.safetensors")))
        if self.shares is not None:
            network.head.counted = [
                name
                for name, branch in network.head.items()
                if self.shares.get(name) or branch.linear.weight.any()
            ]
        return network

    @property
    def weights(self) -> RunWeights:
        """What another run starts from."""
        from core.models.weights import RunWeights

        return RunWeights(self.fold, self.kept.check(self._name("model.safetensors")))

    def untrained(self, seed: int) -> GeneImageNetwork:
        """The same architecture with random weights."""
        from core.models.network import GeneImageNetwork

        scratch = self.spec.network.model_copy(update={"weights": "scratch"})
        return GeneImageNetwork(scratch, len(self.classes), seed=seed)

    def prepare(self, data: AnnData, *, absent: Absent = "refuse") -> np.ndarray:
        """Prepared expression in [0, 1], (samples, genes of the image) float32.

        Args:
            data: any samples on the scale of the run's (`uns["scale"]`: counts, linear or log2);
                genes are found by their ids, in any order and among others.
            absent: what is done about genes that are needed and missing; `mean` paints their
                training mean.

        Raises:
            InputError: another scale; genes that are missing, or stand there twice.
        """
        expected, scale = self.preprocessor.scale, data.uns.get("scale")
        if self.spec.preparation.scale == "auto" and scale != expected:
            raise InputError(
                f'Expected values on the scale of {self.kept.title}, uns["scale"] = "{expected}", '
                f"got {'none' if scale is None else repr(scale)}."
            )
        x, genes = data.to_df().to_numpy(np.float32), data.var_names.to_numpy().astype(str)
        return self.preprocessor.transform(x, genes, absent=absent)

    def predict(
        self, data: AnnData, *, absent: Absent = "refuse", device: torch.device | None = None
    ) -> pd.DataFrame:
        """Calibrated class probabilities, or values, as the run's own predictions are.

        Args:
            data, absent: as in `prepare`.
            device: where to compute; by default on the first device.

        Returns:
            A row a sample (its id is the index) and a column a class; each row adds up to 1. Of a
            regression one column, in the target's unit.

        Raises:
            InputError: as `prepare` does, and where files of the fold are missing or damaged.
        """
        answers = self.answer(self.prepare(data, absent=absent), device)
        return pd.DataFrame(answers, index=data.obs_names.astype(str), columns=self.classes)

    def answer(self, rows: np.ndarray, device: torch.device | None = None) -> np.ndarray:
        """The answers of `predict` to prepared rows (samples, genes): (samples, outputs)."""
        from core.training.device import choose_device
        from core.training.loop import predict

        task = TASKS[self.spec.task]
        device = device or choose_device()
        answers = predict(self.network, self.imager, rows, device, task.objective)
        return task.decode(answers, self.scale)

    def read_scores(self, scores: np.ndarray) -> np.ndarray:
        """Answers (samples, outputs), as `answer` gives them, out of the scores of `look`."""
        import torch

        task = TASKS[self.spec.task]
        return task.decode(task.objective.answers(torch.as_tensor(scores)).numpy(), self.scale)

    def look(
        self, rows: np.ndarray, device: torch.device | None = None
    ) -> Iterator[tuple[list[np.ndarray], np.ndarray]]:
        """What the head is given, and what it makes of it, some of the prepared rows at a time.

        Yields:
            (part, features) each map that the head looks at, flattened; without those that a linear
            head gives no share. And (part, outputs) the scores, before they become probabilities or
            values.
        """
        import torch

        from core.explain.forward import evaluating
        from core.training.device import choose_device

        device = device or choose_device()
        network, imager = self.network.to(device), self.imager.to(device)
        seen: list[torch.Tensor] = []

        def keep(head: torch.nn.Module, inputs: tuple[list[torch.Tensor] | torch.Tensor]) -> None:
            seen[:] = inputs[0] if isinstance(inputs[0], list) else inputs
            if self.spec.network.is_solved:
                named = zip(head, inputs[0], strict=False)  # those without a share may be missing
                seen[:] = [maps for name, maps in named if head[name].linear.weight.any()]

        hook = network.head.register_forward_pre_hook(keep)
        try:
            with torch.no_grad(), evaluating(network):
                for part in torch.as_tensor(rows, device=device).split(AT_ONCE):
                    scores = network(imager(part)).float().cpu().numpy()
                    yield [maps.flatten(1).float().cpu().numpy() for maps in seen], scores
        finally:
            hook.remove()

    def features(
        self, data: AnnData, *, absent: Absent = "refuse", device: torch.device | None = None
    ) -> dict[str, np.ndarray]:
        """The maps of all stages of the network, the first stage's first.

        Args and errors are those of `predict`.

        Returns:
            Stage -> (samples, channels, side, side) float32.
        """
        import torch

        from core.explain.forward import evaluating
        from core.training.device import choose_device

        device = device or choose_device()
        x = torch.as_tensor(self.prepare(data, absent=absent))
        network, imager = self.network.to(device), self.imager.to(device)
        found: dict[str, list[np.ndarray]] = {stage: [] for stage in self.spec.network.map_sides}
        with torch.no_grad(), evaluating(network):
            for part in x.split(AT_ONCE):
                maps = imager(part.to(device))
                for stage, parts in found.items():
                    maps = network.stage_module(stage)(maps)
                    parts.append(maps.float().cpu().numpy())
        return {stage: np.concatenate(parts) for stage, parts in found.items()}

    def locate(self, samples: Samples) -> Fold:
        """Where the fold's parts stand among the run's samples.

        Raises InputError when they aren't among them, as in another dataset.
        """
        parts = ("train", "validation", "test")
        return find_fold(samples, {part: getattr(self, part) for part in parts})

    def case(
        self, recipe: Recipe, samples: Samples, positions: np.ndarray, device: torch.device
    ) -> Case:
        """The question about some samples, to be asked of this network with `Case.explain`.

        Args:
            recipe: how they are explained.
            samples: the run's; of a model that somebody sent any that have its genes.
            positions: which of them; none that the network was fitted on.
            device: where to compute.

        Raises:
            InputError: samples that the network was fitted on, whose explanation would say what it
                memorised; the recipe's gene sets are gone, or don't fit the genes on the image; the
                network's answer doesn't go through the maps that the recipe looks at; the recipe
                starts from training samples, and the model was sent without them.
        """
        from core.explain.case import Case

        self._check_maps(recipe)

        fold, prepared, x = self.locate(samples), self.preprocessor, self.source.transform(samples)
        if seen := np.isin(positions, fold.fitting).sum():
            raise InputError(
                f"{seen} of the {len(positions)} samples are among those that fold "
                f"{self.fold + 1} of {self.kept.title} was fitted on. Explain samples that it held "
                "out."
            )
        if not len(fold.train) and (
            recipe.baseline == "others" or METHODS[recipe.method].uses_training
        ):
            raise InputError(
                f"This explanation starts from training samples, and {self.kept.title} was sent "
                "without any. Take integrated gradients from the training mean."
            )
        training = x[fold.train]
        numbers = np.searchsorted(self.classes, samples.labels)
        targets, against = numbers[positions], None
        if recipe.against is not None:
            against = np.full(len(positions), self.classes.index(recipe.against))
        if recipe.towards is not None:
            targets = np.full(len(positions), self.classes.index(recipe.towards))
        names, sets = group_genes(recipe, prepared.genes) if recipe.sets else ([], None)
        rng = np.random.default_rng(self.spec.seed)
        return Case(
            method=recipe.method,
            network=self._count(self.network, recipe.through),
            untrained=self._count(self.untrained(self.spec.seed + 1), recipe.through),
            imager=self.imager,
            x=x[positions],
            targets=targets,
            baseline=_find_baselines(
                recipe, prepared.mean, training, numbers[fold.train], targets, against
            ),
            background=training[rng.permutation(len(training))[:BACKGROUND]],
            device=device,
            against=against,
            stage=recipe.stage or self.spec.network.region_stage,
            sets=sets,
            set_names=names,
        )

    def _check_maps(self, recipe: Recipe) -> None:
        """Raise InputError where the maps that a recipe looks at have no share in the answer."""
        shares, method, stages = self.shares, METHODS[recipe.method], ()
        if shares is None and recipe.through != "all":
            raise InputError(
                f"The parts of genes and maps can be told apart in a linear head only; that of "
                f"{self.kept.title} is {self.spec.network.head}. Explain all of it."
            )
        if method.uses_stage:
            stages = self.spec.network.record.stages
            stages = stages[stages.index(recipe.stage or self.spec.network.region_stage) :]
        elif recipe.through == "maps":
            stages = self.spec.network.record.stages
        looked_at = not stages or shares is None or any(shares[name] for name in stages)
        if not looked_at or (method.uses_stage and recipe.through == "genes"):
            raise InputError(
                f"{method.title} would look at maps, and the head of {self.kept.title} gives those "
                f"of {stages[0]} and later no share: the answer is the genes' alone. Take "
                "integrated gradients of genes and maps, or a run whose head is trained by steps."
            )

    def _count(self, network: GeneImageNetwork, through: str) -> GeneImageNetwork:
        """The network, or one that counts a part of its linear head only."""
        if through == "all":
            return network
        part = deepcopy(network)
        genes = through == "genes"
        part.head.counted = [name for name in part.head.counted if (name in OF_GENES) == genes]
        return part

    def _name(self, file: str) -> str:
        return f"folds/{self.fold}/{file}"


def load_fitted(run: str, fold: int) -> FittedModel:
    """Read a fold of a finished run; its larger files are read when they are asked for.

    Args:
        run: the run's id, which is the name of its folder.
        fold: from 0.

    Raises:
        InputError: the run has no such fold, or what it wrote is damaged.
    """
    fitted = read_fitted(kept_by(run), fold)
    try:
        float(fitted.validation_loss)
    except (*UNREADABLE, IndexError):
        raise fitted.kept.damage(f"folds/{fold}/fold.json") from None
    return fitted


def read_fitted(kept: Kept, fold: int) -> FittedModel:
    """The same, wherever the files stand."""
    name = f"folds/{fold}/fold.json"
    try:
        record = json.loads(kept.read(name))
        return FittedModel(
            kept=kept,
            fold=int(fold),
            **{part: np.array(ids, dtype=str) for part, ids in record["parts"].items()},
            history=record["history"],
            kept_epoch=record["best_epoch"] if "best_epoch" in record else record["kept_epoch"],
            baselines={name: np.array(proba, float) for name, proba in record["plain"].items()},
            learned_from=record.get("learned_from"),
            _record=record,
        )
    except UNREADABLE:
        raise kept.damage(name) from None


def _find_baselines(
    recipe: Recipe,
    mean: np.ndarray,
    training: np.ndarray,
    y: np.ndarray,
    targets: np.ndarray,
    against: np.ndarray | None,
) -> np.ndarray:
    """(targets, genes) what each sample is compared with."""
    if recipe.baseline == "mean":
        return np.tile(mean, (len(targets), 1))
    if recipe.baseline == "zero":
        return np.zeros((len(targets), len(mean)), dtype=np.float32)
    classes = np.unique(y)
    means = np.stack([training[y == k].mean(axis=0) for k in classes])
    if against is not None:
        return means[np.searchsorted(classes, against)]
    others = np.stack([means[classes != k].mean(axis=0) for k in classes])
    return others[np.searchsorted(classes, targets)]
