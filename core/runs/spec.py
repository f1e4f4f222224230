"""RunSpec: everything that decides a run; its hash is the run's identity."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from core.data.cohort import Cohort, nest_cohort
from core.data.prepare import FEWEST_GENES, PreparationSpec
from core.errors import InputError
from core.files import UNREADABLE, read_json
from core.home import home
from core.identity import Versioned, identify, raised_versions
from core.images.layouts import LAYOUTS, LayoutSpec
from core.models.backbones import BACKBONES
from core.models.spec import MOST_MULTIPLIED, NetworkSpec
from core.plain_yaml import parse_yaml
from core.records import Registry
from core.training.augmentations import AUGMENTATIONS
from core.training.spec import TrainingSpec
from core.training.splits import SPLITS, SplitSpec
from core.training.tasks import TASKS

BEFORE: dict[str, dict[str, Any]] = {
    "": {"task": "classification"},
    "layout": {"reference": None, "perplexity": 30, "neighbours": 15, "least_distance": 0.1},
    "network": {"channels": "value", "allow_leak": False, "edge": "cut", "products": False},
    "training": {"keep": "best", "variants": 0},
}
"""Fields that came after version 0.1.0, by part ("" is the specification itself), and what was done
before there were any. That is what specifications without them mean, and where it is asked for they
are no part of the identity, so that the same question stays the same run. A field that is added to
a part belongs here."""


SOLVED = {
    "network": {"dropout": NetworkSpec().dropout},
    "training": TrainingSpec(augmentation="none").model_dump(),
}
"""Fields that say nothing for a head that is solved instead of trained, by part, with the value
that is taken."""


OF_SOME = {
    "layout": LayoutSpec().model_dump(include={"perplexity", "neighbours", "least_distance"}),
    "split": SplitSpec().model_dump(exclude={"kind", "validation"}),
}
"""Fields that only some layouts and splits read, by part, with what is taken for the others."""


class RunSpec(BaseModel):
    """One training, as asked for. Two runs with equal specs are the same run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cohort: Cohort
    task: str = Field(
        "classification", title="Task",
        description="classification: the label is a class. regression: it is a number.",
    )  # fmt: skip
    permute_labels: bool = Field(
        False, title="Permuted labels",
        description="Give every sample another one's label: a control, right by chance only.",
    )  # fmt: skip
    preparation: PreparationSpec = PreparationSpec()
    layout: LayoutSpec = LayoutSpec()
    network: NetworkSpec = NetworkSpec()
    split: SplitSpec = SplitSpec()
    training: TrainingSpec = TrainingSpec()
    seed: int = Field(0, ge=0, lt=2**31, title="Seed")

    @model_validator(mode="before")
    @classmethod
    def _fill_preset(cls, document: Any) -> Any:
        """`preset` names a recipe, which holds wherever nothing is said."""
        if not isinstance(document, dict) or "preset" not in document:
            return document
        said = {
            name: part.model_dump(exclude_unset=True) if isinstance(part, BaseModel) else part
            for name, part in document.items()
        }
        return PRESETS[said.pop("preset")].fill(said)

    @field_validator("cohort")
    @classmethod
    def _name_the_class(cls, cohort: Cohort) -> Cohort:
        if cohort.label is None:
            raise ValueError("label is missing: say which column holds the class")
        return cohort

    @field_validator("task")
    @classmethod
    def _know_task(cls, task: str) -> str:
        return TASKS.check(task)

    @model_validator(mode="after")
    def _leave_out_unused(self) -> "RunSpec":
        """Fields that say nothing here: the same question is one run, whatever they are."""
        for part, fields in TASKS[self.task].unused.items():
            asked = self._asked(part, fields) - {"label_smoothing"}  # presets set it
            if asked:
                raise ValueError(
                    f"{part}.{min(asked)} is of classes and says nothing for the task {self.task}. "
                    "Leave it out."
                )
        if self.network.products and self.preparation.genes > MOST_MULTIPLIED:
            raise ValueError(
                f"products of genes are for {MOST_MULTIPLIED} genes at most; set preparation.genes "
                "to no more, or leave them out"
            )
        if self.network.is_solved:
            for part, fields in SOLVED.items():
                if asked := self._asked(part, fields):
                    raise ValueError(
                        f"{part}.{min(asked)} is of heads that are trained by steps, and the "
                        "linear head is solved. Leave it out, or take another head."
                    )
        for part, fields in self.unused.items():
            own = getattr(self, part)
            odd = {name: value for name, value in fields.items() if getattr(own, name) != value}
            if odd:
                object.__setattr__(self, part, own.model_copy(update=odd))
        return self

    def _asked(self, part: str, unused: dict[str, Any]) -> set[str]:
        """Which unused fields were given another value than the one that is taken."""
        own = getattr(self, part)
        named = own.model_fields_set & unused.keys()
        return {name for name in named if getattr(own, name) != unused[name]}

    @property
    def unused(self) -> dict[str, dict[str, Any]]:
        """Fields that say nothing for this task, layout, split and head, by part, with what is
        taken."""
        unused = {part: dict(fields) for part, fields in TASKS[self.task].unused.items()}
        for part, used in (
            ("layout", LAYOUTS[self.layout.name].fields), ("split", self.split.record.fields)
        ):  # fmt: skip
            own = {name: value for name, value in OF_SOME[part].items() if name not in used}
            unused[part] = unused.get(part, {}) | own
        for part, fields in SOLVED.items() if self.network.is_solved else ():
            unused[part] = unused.get(part, {}) | fields
        return unused

    @property
    def id(self) -> str:
        """The run's identity: the same for the same question, asked of any version.

        A run of an earlier version is stored under the id that it had then.
        """
        document = self._deciding()
        for part, fields in BEFORE.items():
            own = document[part] if part else document
            for name, value in fields.items():
                if own[name] == value:
                    del own[name]
        if not self.network.may_cut:
            del document["network"]["edge"]  # there is nothing to choose
        return identify("train", document | raised_versions(**self.records))

    @property
    def records(self) -> dict[str, Versioned]:
        """The records whose numbers the run rests on."""
        return {
            "preparation": self.preparation,
            **LAYOUTS[self.layout.name].records,
            "split": self.split.record,
            "augmentation": AUGMENTATIONS[self.training.augmentation],
            **{b.name: b for b in TASKS[self.task].baselines if b.in_every_run},
        }

    def key_without(self, *names: str) -> str:
        """A text that is equal for runs that ask the same but for these parts or fields."""
        kept = {name: value for name, value in self._deciding().items() if name not in names}
        return json.dumps(kept, sort_keys=True)

    def _deciding(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude={"cohort": {"batch"}})

    @property
    def settings(self) -> dict[str, Any]:
        """All fields that decide a result, by dotted name such as 'network.backbone'."""
        flat: dict[str, Any] = {}
        unused = self.unused
        for name, value in self._deciding().items():
            if isinstance(getattr(self, name), BaseModel):
                flat |= {
                    f"{name}.{field}": inner
                    for field, inner in value.items()
                    if field not in unused.get(name, {})
                }
            else:
                flat[name] = value
        return flat

    def within(self, genes: int | None = None) -> "RunSpec":
        """The same question, with no more genes than there are.

        Args:
            genes: of the dataset; by default those of the stored one, if it is here.
        """
        if genes is None:
            try:
                genes = _count_genes(self.cohort.dataset)
            except UNREADABLE:
                return self
        most = max(genes, FEWEST_GENES)
        if self.preparation.genes <= most:
            return self
        preparation = self.preparation.model_copy(update={"genes": most})
        return self.model_copy(update={"preparation": preparation})

    @property
    def learning_rate(self) -> float:
        """Peak rate: the one asked for, else the network's own (a quarter for trained weights)."""
        if self.training.learning_rate is not None:
            return self.training.learning_rate
        own = self.network.record.learning_rate
        return own if self.network.weights == "scratch" else own / 4

    @property
    def variants(self) -> int:
        """Augmented versions of the expression that are drawn once; 0: every batch anew."""
        if not AUGMENTATIONS[self.training.augmentation].on_expression:
            return 0
        if self.training.variants is None:
            return 16 if self.network.frozen_stages else 0
        return self.training.variants

    @property
    def caches_features(self) -> bool:
        """Whether frozen stages see the same expression again in a later epoch."""
        augmentation = AUGMENTATIONS[self.training.augmentation]
        varies = augmentation.on_images or (augmentation.on_expression and not self.variants)
        return bool(self.network.frozen_stages) and not varies

    def title(self) -> str:
        """The run in one line, for lists: 'SqueezeNet 1.1 · 70/30 · augmented'.

        Said is what people choose first; of the rest only what isn't as usual.
        """
        layout = self.layout.name
        how = {"none": "not augmented", TrainingSpec().augmentation: "augmented"}.get(
            self.training.augmentation,
            f"augmented by {AUGMENTATIONS[self.training.augmentation].title.rpartition(': ')[2]}",
        )
        words = [
            "" if TASKS[self.task].has_classes else f"{self.cohort.label} as a number",
            self.network.record.title
            + (" from scratch" if self.network.weights == "scratch" else ""),
            self.split.title(),
            "linear head" if self.network.is_solved else how,
            "" if layout == LayoutSpec().name else LAYOUTS[layout].title,
            "permuted labels" if self.permute_labels else "",
            f"seed {self.seed}" if self.seed else "",
        ]
        return " · ".join(filter(None, words))

    def to_yaml(self) -> str:
        """The spec as YAML that `from_yaml` reads back and a person can edit."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    @classmethod
    def from_yaml(cls, text: bytes | str) -> "RunSpec":
        """Read a spec; raises InputError with one line for each wrong field."""
        document = parse_yaml(text, "The run specification")
        if not isinstance(document, dict):
            raise InputError("A run specification is a YAML mapping of parts such as cohort.")
        return cls.parse(document)

    @classmethod
    def restore(cls, document: dict[str, Any]) -> "RunSpec":
        """The specification of a run that was kept, by this version or an earlier one.

        Raises InputError when this version doesn't understand it.
        """
        try:
            earlier = {
                part: {**fields, **document[part]} for part, fields in BEFORE.items() if part
            }
        except (KeyError, TypeError):
            raise InputError("It is no specification of a run.") from None
        return cls.parse({**BEFORE[""], **document, **earlier}).within()

    @classmethod
    def parse(cls, document: dict[str, Any]) -> "RunSpec":
        """Validate a nested mapping; raises InputError with one line for each wrong field.

        Documents of earlier versions, without a part `cohort`, are taken as well.
        """
        try:
            return cls.model_validate(nest_cohort(document))
        except ValidationError as error:
            problems = [
                f"{'.'.join(map(str, problem['loc']))}: "
                + problem["msg"].removeprefix("Value error, ")
                + f" (got {problem['input']!r:.80})"
                for problem in error.errors(include_url=False)
            ]
            raise InputError("The run can't be started: " + "; ".join(problems)) from None


def _count_genes(dataset: str | None) -> int:
    """Genes of a stored dataset; raises one of UNREADABLE where it isn't here."""
    return _read_genes(home() / "datasets" / str(dataset) / "record.json")


@lru_cache(200)
def _read_genes(record: Path) -> int:
    """Genes of the dataset of a record, which never changes; lists of runs ask for it."""
    return int(read_json(record)["genes"])


def setting_title(name: str) -> str:
    """What people read for a name of `RunSpec.settings`: 'Class' for 'cohort.label'."""
    model: type[BaseModel] = RunSpec
    *parts, field = name.split(".")
    for part in parts:
        model = model.model_fields[part].annotation
    return model.model_fields[field].title


WORDS = {
    "auto": "automatic",
    "linear": "linear (TPM, FPKM)",
    "cpm": "counts per million",
    "tmm": "TMM-scaled",
    "drop": "leave their genes out",
    "none": "nothing",
    "quantile": "quantile normalisation",
    "rank": "ranks",
    "zscore": "z-score",
    "robust": "robust z-score",
    "minmax": "lowest to highest",
    "head linear": "genes and all maps, solved",
    "freeze nothing": "nothing, train all of it",
    "freeze backbone": "all but the head",
    "weights imagenet": "ImageNet",
    "weights scratch": "random",
    "scales": "all maps, keeps position",
    "position": "last map, keeps position",
    "torchvision": "torchvision's own",
    "cross_entropy": "cross-entropy",
    "last": "of the last epoch",
    "best": "of the best epoch",
}
"""Options whose names in a specification are not words; with their field, what means two things."""
RECORDS: dict[str, Registry] = {
    "task": TASKS, "backbone": BACKBONES, "augmentation": AUGMENTATIONS, "kind": SPLITS,
    "layout.name": LAYOUTS,
}  # fmt: skip
"""Settings that name a record -> where it stands."""


def say_option(name: str, value: Any) -> str:
    """A setting's value as people read it: 'ResNet50' for 'resnet50', 'automatic' for None.

    Args:
        name: of `RunSpec.settings`, or the field alone.
        value: what it is set to.
    """
    field = name.rpartition(".")[2]
    registry = RECORDS.get(name, RECORDS.get(field))
    if registry is not None and value in registry:
        return registry[value].title
    if value is None:
        return "automatic"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return WORDS.get(f"{field} {value}", WORDS.get(str(value), str(value)))


@dataclass(frozen=True)
class Preset:
    """A whole recipe: what it sets differs from the fields' own defaults."""

    name: str
    title: str
    when: str
    """When to take it, in a sentence."""
    help: str
    reference: str
    parts: dict[str, dict[str, Any]]
    """Part of a RunSpec -> field -> value."""

    def fill(self, document: dict[str, Any]) -> dict[str, Any]:
        """A run's nested mapping with the preset's values wherever it has none of its own."""
        filled = {name: {**fields, **document.get(name, {})} for name, fields in self.parts.items()}
        return {**document, **filled}


PRESETS: Registry[Preset] = Registry(
    "preset",
    [
        Preset(
            name="recommended",
            title="Recommended: a linear head, solved",
            when="Take it first. It is the quickest, and was nowhere significantly below the tuned "
            "linear model.",
            help="The network's own weights stay as they are, and a linear head of the genes and "
            "of all its stages' maps is solved, not trained. Where the maps add nothing it is the "
            "tuned linear model of the genes; nowhere was it significantly below, and right more "
            "often than a head that is trained by steps: by 17 points with 120 samples, by 2 with "
            "1,204 samples of 22 classes, by 1 with 602 samples of 11 "
            "(benchmarks/results/recipes.md).",
            reference="",
            parts={
                "network": {"image_size": 32, "freeze": "backbone", "head": "linear"},
                "training": {"augmentation": "none"},
            },
        ),
        Preset(
            name="few_genes",
            title="For a panel of at most 64 genes",
            when="Take it first with so few genes: it also sees what each two say together.",
            help="As recommended, but the linear head may also take products of each two genes. "
            "With 30 genes of 2,574 tumours it was right 1.3 points more often than the tuned "
            "linear model; that is the products' gain, not the picture's "
            "(benchmarks/results/few_genes.md).",
            reference="",
            parts={
                "preparation": {"genes": MOST_MULTIPLIED},
                "network": {
                    "image_size": 32,
                    "freeze": "backbone",
                    "head": "linear",
                    "products": True,
                },
                "training": {"augmentation": "none"},
            },
        ),
        Preset(
            name="robust",
            title="For samples of another laboratory",
            when="Take it for a model that shall meet samples of another laboratory or platform.",
            help="As recommended, but each sample first gets the training samples' mean "
            "distribution. Over 38 pairs of cohorts, most of them on other platforms, its balanced "
            "accuracy outside was .81, and .61 without; within a cohort it may cost half a point "
            "(benchmarks/results/outside.md).",
            reference="Bolstad et al. 2003, Bioinformatics 19:185",
            parts={
                "preparation": {"across": "quantile"},
                "network": {"image_size": 32, "freeze": "backbone", "head": "linear"},
                "training": {"augmentation": "none"},
            },
        ),
        Preset(
            name="trained_head",
            title="A head that is trained by steps",
            when="Take it to see what augmented samples teach a head above a frozen network. It "
            "needs some hundred samples.",
            help="The network's own weights stay as they are, and a head that looks at all its "
            "stages learns from augmented samples where each gene stands.",
            reference="",
            parts={
                "network": {"image_size": 32, "freeze": "backbone", "head": "scales"},
                "training": {"epochs": 40, "batch_size": 64, "learning_rate": 1e-3},
            },
        ),
        Preset(
            name="throughout",
            title="A network trained throughout",
            when="Take it to see what a network makes of the images by itself, as in published "
            "studies. It takes longest.",
            help="All of the network learns, from whatever weights it starts with, at 64 pixels "
            "and with augmented samples. On 602 tumours of 11 types it was as often right as "
            "logistic regression (.954 and .956 over three splits), and took several times as "
            "long as a frozen network (benchmarks/results/recipes.md).",
            reference="",
            parts={"network": {"image_size": 64}, "training": {}},
        ),
        Preset(
            name="paper",
            title="As in the paper",
            when="Take it to repeat what the paper did.",
            help="Genes in the order of the file, each from its lowest to its highest value, "
            "VGG16 from ImageNet with its own classifier, 224 pixels, batches of 4, Adam at 1e-4. "
            "Its augmented half takes the geometric augmentation. Departures: values are log2, "
            "SqueezeNet sees the image's last row and column, the learning rate warms up and comes "
            "down, and a validation part is held back.",
            reference="Rukhsar et al. 2022, Appl. Sci. 12:1850",
            parts={
                "preparation": {"scaling": "minmax"},
                "layout": {"name": "order"},
                "network": {
                    "backbone": "vgg16",
                    "weights": "imagenet",
                    "head": "torchvision",
                    "image_size": 224,
                    "dropout": 0.5,
                },
                "training": {
                    "batch_size": 4,
                    "learning_rate": 1e-4,
                    "weight_decay": 0.0,
                    "label_smoothing": 0.0,
                    "augmentation": "none",
                    "class_weights": False,
                    "keep": "best",
                },
            },
        ),
    ],
)
