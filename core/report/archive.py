"""A finished run as a folder to be deposited: report, notebook, tables, and what they are.

`ro-crate-metadata.json` describes the files, with their checksums, in the manner of RO-Crate 1.1
(Soiland-Reyes et al. 2022, doi:10.3233/DS-210053), which repositories and people read alike.
"""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core import __version__
from core.data.store import get_record
from core.download import hash_file
from core.errors import InputError
from core.escape import write_csv
from core.files import need_empty, write_folder, write_json
from core.report.notebook import make_notebook
from core.report.run import RECIPE, write_run_report
from core.runs.explain import class_genes
from core.runs.result import headline, load_predictions, load_result, load_spec

METADATA = "ro-crate-metadata.json"
CONFORMS = "https://w3id.org/ro/crate/1.1"
FILES = {
    "report.html": ("text/html", "The report"),
    "run.ipynb": ("application/x-ipynb+json", "A notebook that goes the run's way again"),
    "run.yaml": ("application/yaml", "The specification: everything that decides the run"),
    "result.json": ("application/json", "Scores, findings, versions"),
    "predictions.csv": ("text/csv", "What was said of each held-out sample"),
    "genes.csv": ("text/csv", "Each gene's score for each class, with the evidence for it"),
}
"""File -> its kind, and what it is. genes.csv is left out until genes were scored."""


def write_archive(run: str, folder: Path, sets: str | None = None) -> Path:
    """Write a finished run as a folder, atomically.

    It names the held-out samples, and holds no expression but that of the report's images.

    Args:
        run: its id.
        folder: must be empty, or not there yet.
        sets: as `report_run` takes them.

    Returns:
        The folder's absolute path.

    Raises:
        InputError: the run has no result, or is damaged; the folder isn't empty.
    """
    need_empty(folder)
    load_result(run)
    return write_folder(folder, lambda temporary: _fill(temporary, run, sets))


def _fill(folder: Path, run: str, sets: str | None) -> None:
    spec, result = load_spec(run), load_result(run)
    name, source = "a dataset that is gone", "the file of the dataset"
    with suppress(InputError):
        record = get_record(spec.cohort.dataset)
        name, source = record.name, record.source
    write_run_report(run, folder / "report.html", sets)
    write_json(folder / "run.ipynb", make_notebook(run, source))
    (folder / "run.yaml").write_text(spec.to_yaml(), encoding="utf-8")
    write_json(folder / "result.json", result.model_dump(mode="json", exclude={"files"}))
    write_csv(load_predictions(run), folder / "predictions.csv")
    with suppress(InputError):  # genes haven't been scored
        write_csv(class_genes(run, RECIPE), folder / "genes.csv")
    write_json(folder / METADATA, _describe(folder, run, name))


def _describe(folder: Path, run: str, dataset: str) -> dict[str, Any]:
    """The metadata of a folder that is otherwise complete."""
    spec, result = load_spec(run), load_result(run)
    present = [name for name in FILES if (folder / name).exists()]
    files = [
        {
            "@id": name, "@type": "File", "name": FILES[name][1], "encodingFormat": FILES[name][0],
            "contentSize": str((folder / name).stat().st_size),
            "sha256": hash_file(folder / name, "sha256"),
        }
        for name in present
    ]  # fmt: skip
    libraries = [{"@id": f"#{name}"} for name in result.versions]
    return {
        "@context": [f"{CONFORMS}/context", {"sha256": "https://schema.org/sha256"}],
        "@graph": [
            {
                "@id": METADATA, "@type": "CreativeWork", "conformsTo": {"@id": CONFORMS},
                "about": {"@id": "./"},
            },
            {
                "@id": "./", "@type": "Dataset", "name": f"GeneCanvas run {run}: {spec.title()}",
                "description": headline(run), "identifier": run,
                "datePublished": f"{datetime.now(UTC):%Y-%m-%d}",
                "license": "Not stated: it is for the owner of the data to choose.",
                "hasPart": [{"@id": name} for name in present],
                "mentions": [{"@id": "#training"}],
            },
            *files,
            {
                "@id": "#training", "@type": "CreateAction", "name": f"Training of run {run}",
                "instrument": {"@id": "#genecanvas"},
                "object": [{"@id": "#dataset"}, {"@id": "run.yaml"}],
                "result": [{"@id": name} for name in present if name != "run.yaml"],
            },
            {
                "@id": "#dataset", "@type": "Dataset", "name": dataset,
                "description": "The samples and their expression, which are not in this folder.",
                "sha256": spec.cohort.dataset,
            },
            {
                "@id": "#genecanvas", "@type": "SoftwareApplication", "name": "GeneCanvas",
                "version": __version__, "softwareRequirements": libraries,
            },
            *(
                {"@id": f"#{name}", "@type": "SoftwareApplication", "name": name, "version": number}
                for name, number in result.versions.items()
            ),
        ],
    }  # fmt: skip
