"""One run from its spec to its result: the one path of the data, fold by fold."""

import math
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from anndata import AnnData

from core.data.notes import Finding
from core.errors import DamageError, InputError
from core.escape import read_csv, write_csv
from core.files import UNREADABLE, read_json, write_atomic, write_json
from core.jobs.job import KNOWN_AFTER, stop_if_told
from core.models.network import GeneImageNetwork, build_network, load_ahead, save_network
from core.runs.leaks import (
    Start,
    describe_fitting,
    find_leak,
    find_starts,
    say_start,
    start_weights,
)
from core.runs.remembered import (
    recall_baseline,
    recall_dataset,
    recall_doubts,
    recall_source,
)
from core.runs.result import RunResult, hash_kept
from core.runs.solved import describe_solved, say_solved
from core.runs.source import Source, source_of
from core.runs.spec import RunSpec
from core.runs.study import Study, find_fold, open_study
from core.training.augmentations import AUGMENTATIONS
from core.training.device import (
    choose_device,
    choose_precision,
    describe_device,
    peak_memory,
    reset_peak_memory,
)
from core.training.exact import solve_head
from core.training.features import FrozenPart
from core.training.loop import EnoughEpochs, FoldData, predict, read_trained, train
from core.training.spec import TrainingSpec
from core.training.splits import Fold
from core.training.tasks import TASKS, Task
from core.words import say_duration

BEGUN = "begun.json"
"""What a fold that is being trained started from."""


class Reporter(Protocol):
    """Who listens to a run: the store, or a terminal."""

    def progress(self, done: int, total: int, text: str) -> None:
        """The share of the run that is done, and what happens now, in words."""

    def epoch(self, fold: int, row: dict[str, Any]) -> None:
        """An epoch's measurements."""

    def enough(self) -> bool:
        """Whether the user wants the training to end after the epoch at hand."""

    def cancelled(self) -> bool:
        """Whether the user wants the run to stop; asked after each batch."""


class Silent:
    """A reporter that says nothing and never stops a run: for scripts."""

    def progress(self, done: int, total: int, text: str) -> None:
        """Nothing."""

    def epoch(self, fold: int, row: dict[str, Any]) -> None:
        """Nothing."""

    def enough(self) -> bool:
        """Never."""
        return False

    def cancelled(self) -> bool:
        """Never."""
        return False


def fold_folder(run: Path, number: int) -> Path:
    """Where a fold's fitted parts and its network stand."""
    return run / "folds" / str(number)


def execute(
    spec: RunSpec, folder: Path, reporter: Reporter, device: torch.device | None = None
) -> RunResult:
    """Train and test every fold of `spec`, and write result.json and predictions.csv last.

    Folds that are finished in `folder` are taken from there, and a fold that was interrupted goes
    on from its last epoch, so that an interrupted run ends with the numbers of an undisturbed one.

    Args:
        spec: what is trained.
        folder: where everything of the run is written.
        reporter: who listens, and may stop the run.
        device: where to compute; by default on the first device.

    Raises:
        Cancelled: when the reporter says so, after at most one batch.
        GeneCanvasError: the spec doesn't fit its dataset, weights are missing or have learned from
            what would be tested, the loss diverged.
    """
    load_ahead()
    torch.set_deterministic_debug_mode("warn")  # the other way to say so loads the compiler
    torch.utils.deterministic.fill_uninitialized_memory = False  # it finds bugs, and costs 7 %
    write_json(folder / "spec.json", spec.model_dump(mode="json"))
    reporter.progress(0, 1, "Reading the dataset")
    data = recall_dataset(spec.cohort.dataset)
    study = _keep_folds(open_study(spec, data), folder)
    reporter.progress(0, 1, "Looking through the samples")
    doubts = _keep_doubts(spec, data, folder)
    del data  # the study has what trains
    starts = _keep_starts(spec, study, folder)
    watch = Watch(reporter, len(study.folds), spec.training)
    for number in range(len(study.folds)):
        if not _is_finished(fold_folder(folder, number), study, number):
            start = None if starts is None else starts[number]
            watch.begin(number)
            _run_fold(spec, study, number, start, folder, watch, device or choose_device())
    return _gather(spec, study, starts, doubts, folder)


def _keep_folds(study: Study, folder: Path) -> Study:
    """Draw the folds once: a run that goes on has those that it began with.

    Where nobody knows them any more, what an interrupted fold has learned so far isn't used, since
    it may have learned from what is tested now.
    """
    path = folder / "folds.json"
    try:
        return replace(study, folds=[find_fold(study, parts) for parts in read_json(path)])
    except (InputError, AttributeError, *UNREADABLE):
        for checkpoint in folder.glob("folds/*/checkpoint.pt"):
            checkpoint.unlink()
        write_json(path, [_name_parts(study, fold) for fold in study.folds])
        return study


def _name_parts(study: Study, fold: Fold) -> dict[str, list[str]]:
    """A fold's parts as ids of samples."""
    return {part: study.samples[positions].tolist() for part, positions in vars(fold).items()}


def _is_finished(place: Path, study: Study, number: int) -> bool:
    """Whether a fold was trained and tested on these very samples."""
    with suppress(*UNREADABLE):
        parts = read_json(place / "fold.json")["parts"]
        return parts == _name_parts(study, study.folds[number])
    return False


def _keep_doubts(spec: RunSpec, data: AnnData, folder: Path) -> list[Finding]:
    """Look through the samples once: a run that goes on takes what stands in its folder."""
    path = folder / "findings.json"
    with suppress(*UNREADABLE):  # none yet, or damaged: they are found again
        return [Finding.model_validate(finding) for finding in read_json(path)]
    found = recall_doubts(spec, data)
    write_json(path, [finding.model_dump(mode="json") for finding in found])
    return found


def _keep_starts(spec: RunSpec, study: Study, folder: Path) -> list[Start] | None:
    """Find the networks that the folds start from once: later the run may be gone that has them."""
    path = folder / "sources.json"
    if path.exists():
        try:
            return [Start.model_validate(start) for start in read_json(path)]
        except UNREADABLE:
            raise DamageError(
                f"{path}, which says what run {folder.name} starts from, is damaged. Delete the "
                "file and resume the run: it is written anew."
            ) from None
    starts = find_starts(spec, study)
    if starts is not None:
        write_json(path, [start.model_dump(mode="json") for start in starts])
    return starts


def _run_fold(
    spec: RunSpec,
    study: Study,
    number: int,
    start: Start | None,
    folder: Path,
    watch: "Watch",
    device: torch.device,
) -> None:
    """Fit, train, test one fold; its fold.json is written last and says that it is complete."""
    started, task = time.perf_counter(), TASKS[spec.task]
    reset_peak_memory(device)
    fold, place = study.folds[number], fold_folder(folder, number)
    place.mkdir(parents=True, exist_ok=True)

    watch.say("painting gene-images")
    checkpoint = place / "checkpoint.pt"
    source = _begun_source(spec, place) if checkpoint.exists() else None
    if source is None:
        checkpoint.unlink(missing_ok=True)
        source, x = recall_source(spec, study, fold)
        source.save(place)
    else:
        x = source.transform(study)
    painter = source.painter(spec.network)
    watch.say("baseline models")
    fitted = {
        baseline.name: recall_baseline(baseline.name, spec, study, fold, x)
        for baseline in task.baselines
        if baseline.in_every_run
    }
    plain = {name: model.answer(x[fold.test]) for name, model in fitted.items()}
    tuned = {name: model.choice for name, model in fitted.items() if model.choice is not None}
    scale = task.fit_scale(study.y[fold.train])
    y, objective = task.encode(study.y, scale), task.objective

    watch.say(f"building {spec.network.backbone}")
    network, weights = _begin_network(spec, len(study.classes), start, place)
    network.to(device)
    painter.to(device)
    precision = choose_precision(spec.training.precision, device)
    if spec.network.is_solved:
        precision = "float32"
        watch.say("solving the head")
        frozen = FrozenPart(network, painter, precision, watch.stop_if_asked)
        solved = solve_head(
            network.head, frozen, x[fold.fitting], y[fold.fitting], x[fold.test],
            study.strata[fold.fitting], study.groups_of(fold.fitting), task.aim, objective,
            seed=spec.seed, alone=next(iter(tuned.values()), None),
            on_step=lambda doing: watch.say(f"solving the head: {doing}"),
        )  # fmt: skip
        history, judged, uncalibrated = solved.history, fold.fitting[solved.asked], solved.answers
        tested = solved.tested
    else:
        solved = None
        history = train(
            network,
            painter,
            FoldData(
                x[fold.train], y[fold.train], x[fold.validation], y[fold.validation],
                len(study.classes), source.known(spec, study, x, fold),
            ),
            spec.training,
            watch,
            learning_rate=spec.learning_rate,
            seed=spec.seed,
            device=device,
            checkpoint=checkpoint,
            variants=spec.variants,
            frozen=FrozenPart(network, painter, precision, watch.stop_if_asked)
            if spec.caches_features
            else None,
            objective=objective,
        )  # fmt: skip
        judged = fold.validation
        uncalibrated = predict(network, painter, x[judged], device, objective)
        tested = predict(network, painter, x[fold.test], device, objective)
    scale = task.calibrate(uncalibrated, study.y[judged], scale)
    answers = task.decode(tested, scale)
    save_network(network, place / "model.safetensors")

    kept = history[-1]
    if spec.training.keep == "best":
        kept = min(history, key=lambda row: row["validation_loss"])
    table = pd.DataFrame(
        {
            "sample": study.samples[fold.test],
            "fold": number,
            **task.tabulate(study.y[fold.test], answers, plain, study.classes),
        }
    )
    write_atomic(place / "predictions.csv", lambda path: write_csv(table, path))
    earlier = sum(row["seconds"] for row in history) - watch.epoch_seconds
    write_json(
        place / "fold.json",
        {
            "metrics": task.score(study.y[fold.test], answers),
            **scale,
            "kept_epoch": kept["epoch"],
            "epochs": len(history),
            "ended_by_hand": watch.ended,
            "history": history,
            **({} if solved is None else describe_solved(solved, task, scale)),
            "plain": {name: values.tolist() for name, values in plain.items()},
            "chosen": {name: choice.choose().words for name, choice in tuned.items()},
            "parts": _name_parts(study, fold),
            "learned_from": [
                learned.model_dump(mode="json")
                for learned in (
                    describe_fitting(folder.name, spec, study, number),
                    *(start.learned if start else []),
                )
            ],
            "weights": weights,
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "device": describe_device(device),
            "precision": precision,
            "peak_bytes": peak_memory(device),
            "seconds": time.perf_counter() - started + earlier,
        },
    )
    for path in (checkpoint, place / BEGUN):
        path.unlink(missing_ok=True)


def _begin_network(
    spec: RunSpec, classes: int, start: Start | None, place: Path
) -> tuple[GeneImageNetwork, str]:
    """The network that a fold trains, and a sentence on what it started from.

    One that goes on from its checkpoint needs no other weights: its parent may be gone by now.
    """
    trained = read_trained(place / "checkpoint.pt")
    with suppress(*UNREADABLE):
        weights = read_json(place / BEGUN)["weights"]
        if trained is not None:
            blank = spec.network.model_copy(update={"weights": "scratch"})
            network, _ = build_network(blank, classes, seed=spec.seed)
            network.load_state_dict(trained)
            return network, weights
    begun = start_weights(spec, start)
    network, weights = build_network(spec.network, classes, seed=spec.seed, start=begun)
    with suppress(OSError):
        write_json(place / BEGUN, {"weights": weights})
    return network, weights


def _begun_source(spec: RunSpec, place: Path) -> Source | None:
    """What an interrupted fold's images are painted with; None where that can't be read.

    Another processor, or a later version, may lay the genes out in another way; the network that
    has begun to learn knows them on the pixels of its checkpoint's time.
    """
    try:
        return source_of(spec).load(lambda name: place / name)
    except (InputError, *UNREADABLE):
        return None


def _gather(
    spec: RunSpec,
    study: Study,
    starts: list[Start] | None,
    doubts: list[Finding],
    folder: Path,
) -> RunResult:
    """Pool the finished folds into predictions.csv and, last, result.json."""
    places = [fold_folder(folder, number) for number in range(len(study.folds))]
    folds = [read_json(place / "fold.json") for place in places]
    task = TASKS[spec.task]
    texts = dict.fromkeys(task.texts, str)
    tables = [read_csv(place / "predictions.csv", dtype=texts) for place in places]
    # Folds that an earlier version finished have fewer baseline models.
    predictions = pd.concat(tables, join="inner")
    write_atomic(folder / "predictions.csv", lambda path: write_csv(predictions, path))
    scored = list(range(len(folds)))
    if spec.split.kind == "learning_curve":
        scored = scored[-1:]
    tested = np.concatenate([study.folds[number].test for number in scored])
    y = study.y[tested]
    table = predictions[predictions["fold"].isin(scored)]
    answers = task.answers(table, study.classes)
    plain = {
        name: np.concatenate([folds[number]["plain"][name] for number in scored])
        for name in task.baselines.names
        if all(name in fold["plain"] for fold in folds)
    }
    intervals, gap = task.bound(y, answers, plain[task.reference(plain)], study.who[tested])
    scales = {number: task.read_scale(folds[number]) for number in scored}
    first = folds[scored[0]]
    peaks = [fold["peak_bytes"] for fold in folds if "peak_bytes" in fold]  # folds of 0.1.0 lack it
    result = RunResult(
        run=folder.name,
        classes=study.classes,
        task=spec.task,
        metrics=task.score(y, answers),
        intervals=intervals,
        gap=gap,
        folds=[{**fold["metrics"], "kept_epoch": fold["kept_epoch"]} for fold in folds],
        scored=scored,
        baselines={name: task.score(y, values) for name, values in plain.items()},
        calibration=task.describe_calibration(y, answers, table["fold"].to_numpy(), scales),
        n_train=len(study.folds[scored[0]].train),
        n_validation=len(study.folds[scored[0]].validation),
        n_test=len(np.unique(tested)),
        confusion=task.confusion(y, answers),
        seconds=sum(fold["seconds"] for fold in folds),
        weights=first["weights"],
        parameters=first["parameters"],
        device=first["device"],
        precision=first["precision"],
        peak_bytes=max(peaks, default=None),
        versions={
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "torchvision", "numpy", "scikit-learn")},
        },
        findings=[*find_leak(spec, study, starts), *doubts],
        notes=[
            *_explain_conditions(spec, first),
            *say_solved(task, [folds[k] for k in scored], y, answers, study.who[tested]),
            *_say_chosen(task, [folds[k] for k in scored]),
            *_say_left_out(spec, study),
            *say_start(spec, study, starts),
        ],
        files=hash_kept(folder),
    )
    write_json(folder / "result.json", result.model_dump(mode="json"))
    return result


def _explain_conditions(spec: RunSpec, first: dict) -> list[str]:
    """What a reader of the numbers must know, a sentence each."""
    learners = "the network's head and the" if spec.network.is_solved else "the"
    notes = [
        f"Gene filter, scaling and layout were fitted on the training samples only; {learners} "
        "baseline models learned from training and validation samples together.",
    ]
    if warning := AUGMENTATIONS[spec.training.augmentation].warning:
        notes.append(warning)
    notes.append(
        {
            "holdout": "One split and one seed: another split would give other numbers.",
            "learning_curve": "Scores are those of the largest training part; the folds hold those "
            "of the smaller ones, the smallest first. One split: another would give others.",
        }.get(
            spec.split.kind,
            "Scores are pooled over the folds: each sample was predicted by the networks that had "
            "not seen it.",
        )
    )
    trained = not spec.network.is_solved
    if trained and first["history"][-1]["at_once"] < spec.training.batch_size:
        notes.append(
            "Memory was too small for whole batches: their gradients were computed for "
            f"{first['history'][-1]['at_once']} samples at a time and added."
        )
    if first.get("ended_by_hand"):  # folds of 0.1.0 lack it
        notes.append(
            f"Training was ended by hand after {first['epochs']} of {spec.training.epochs} epochs."
        )
    longest = first["kept_epoch"] == first["epochs"] == spec.training.epochs
    if spec.training.keep == "best" and longest:
        notes.append("The last epoch was the best one: more epochs may help.")
    return notes


def _say_chosen(task: Task, folds: list[dict]) -> list[str]:
    """Which model each baseline model is that chooses; folds that an earlier version finished lack
    it.
    """
    said: dict[str, dict[str, None]] = {}
    for fold in folds:
        for name, words in fold.get("chosen", {}).items():
            said.setdefault(name, {})[words] = None
    return [
        f"On its inner folds {task.baselines[name].phrase} chose {' or '.join(chosen)}."
        for name, chosen in said.items()
    ]


def _say_left_out(spec: RunSpec, study: Study) -> list[str]:
    if not study.left_out:
        return []
    return [
        f"{study.left_out} of {study.left_out + len(study.samples)} samples have no value of "
        f"{spec.cohort.label} and were left out."
    ]


class Watch:
    """Turns batches and epochs into progress in words, fold by fold, and stops when asked to."""

    def __init__(
        self,
        reporter: Reporter,
        folds: int,
        training: TrainingSpec,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.reporter, self.folds, self.training, self._clock = reporter, folds, training, clock
        self._began: float | None = None
        self._fold_took: float | None = None
        """Seconds of the fold before."""

    def begin(self, fold: int) -> None:
        """Go on with another fold."""
        now = self._clock()
        self._fold_took = None if self._began is None else now - self._began
        self.fold, self._began = fold, now
        self.epoch_seconds = 0.0
        self.ended = False
        """Whether the fold's training was ended by hand."""
        self._first: tuple[int, float] | None = None
        self._reported = -math.inf
        self._said = ""

    def say(self, text: str) -> None:
        """Report a step before training once, and stop here if the user wants it."""
        self.stop_if_asked()
        if text != self._said:
            self._said = text
            left = None
            if self._fold_took is not None:
                left = self._fold_took * (self.folds - self.fold) - (self._clock() - self._began)
            self.reporter.progress(self.fold, self.folds, self._word(text, left))

    def on_batch(self, done: int, total: int) -> None:
        """Report at most once a second; raises Cancelled when the user wants the run to stop."""
        self.stop_if_asked()
        now, left = self._clock(), None
        if self._first is None:
            self._first = (done, now)
        if now - self._reported < 1 and done < total:
            return
        self._reported = now
        first, since = self._first
        if done > first and now - since > KNOWN_AFTER:
            batch = (now - since) / (done - first)
            fold = self._fold_took or since - self._began + (total - first) * batch
            left = (total - done) * batch + (self.folds - self.fold - 1) * fold
        epochs = self.training.epochs
        text = f"epoch {-(-done * epochs // total)} of {epochs}"
        self.reporter.progress(self.fold * total + done, self.folds * total, self._word(text, left))

    def on_epoch(self, row: dict[str, Any]) -> None:
        """Pass an epoch's measurements on; raises EnoughEpochs when the user wants no more."""
        self.epoch_seconds += row["seconds"]
        self.reporter.epoch(self.fold, row)
        if row["epoch"] < self.training.epochs and self.reporter.enough():
            self.ended = True
            raise EnoughEpochs

    def _word(self, text: str, left: float | None) -> str:
        """What is done, in which fold, and the seconds that are left where they are known."""
        fold = f"Fold {self.fold + 1} of {self.folds}: " if self.folds > 1 else ""
        if left is None or left <= 0:
            return f"{fold}{text}"
        about = "at most" if self.training.patience else "about"
        return f"{fold}{text}, {about} {say_duration(left)} left"

    def stop_if_asked(self) -> None:
        """Raise Cancelled when the user wants the run to stop."""
        stop_if_told(self.reporter)
