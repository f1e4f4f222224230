"""Small runs, and answers of finished ones that are known, whatever these have learned."""

import sqlite3
from contextlib import closing
from typing import Any

from sklearn.metrics import confusion_matrix

from core.data.cohort import Cohort
from core.escape import write_csv
from core.files import read_json, write_json
from core.home import home, run_folder
from core.runs.result import hash_kept, load_predictions, load_result
from core.runs.spec import RunSpec


def make(dataset: str, **fields) -> RunSpec:
    """A run of an epoch on the classes "type" of samples of a "patient" each."""
    cohort = take_cohort(fields, dataset=dataset, label="type", group="patient")
    return RunSpec.parse(
        {
            "cohort": cohort,
            "network": {"image_size": 32, "pool": 2},
            "training": {"epochs": 1, "precision": "float32"},
        }
        | fields
    )


def list_more(run: str, count: int) -> list[str]:
    """Append runs to the list that are as one of it but for their ids, with names of their own."""
    ids = [f"{n:016x}" for n in range(1, count + 1)]
    with closing(sqlite3.connect(home() / "runs.sqlite")) as db, db:
        names = [row[1] for row in db.execute("PRAGMA table_info(jobs)")]
        row = db.execute("SELECT * FROM jobs WHERE id = ?", (run,)).fetchone()
        like = dict(zip(names, row, strict=True)) | {"key": None}
        db.executemany(
            f"INSERT INTO jobs VALUES ({', '.join('?' * len(names))})",
            [
                tuple((like | {"id": id, "name": f"Run {n}", "place": like["place"] + n}).values())
                for n, id in enumerate(ids, start=1)
            ],
        )
        db.executemany(
            "INSERT INTO needs SELECT ?, input FROM needs WHERE job = ?", [(id, run) for id in ids]
        )
    return ids


def rewrite(run: str, name: str, **fields) -> None:
    """Change fields of a JSON file that a finished run answers for; None takes one out."""
    folder = run_folder(run)
    document = read_json(folder / name) | fields
    kept = {field: value for field, value in document.items() if value is not None}
    write_json(folder / name, kept)
    result = read_json(folder / "result.json")
    write_json(folder / "result.json", {**result, "files": hash_kept(folder)})


def guess(run: str) -> None:
    """Let a finished run have named its first class for every sample that it held out.

    What a tiny network knows after an epoch or two hangs on the last bits of the processor that
    trained it; this is no better than a guess on each.
    """
    table, result = load_predictions(run), load_result(run)
    classes = result.classes
    table["predicted"] = classes[0]
    for name in classes:
        table[f"p_{name}"] = 0.6 if name == classes[0] else 0.4 / (len(classes) - 1)
    folder = run_folder(run)
    write_csv(table, folder / "predictions.csv")
    scored = table[table["fold"].isin(result.scored)]
    confusion = confusion_matrix(scored["true"], scored["predicted"], labels=classes).tolist()
    changed = {"confusion": confusion, "files": hash_kept(folder)}
    write_json(folder / "result.json", {**read_json(folder / "result.json"), **changed})


def take_cohort(fields: dict[str, Any], **usual: Any) -> dict[str, Any]:
    """The fields of a cohort out of a test's own, which they leave, and the usual ones."""
    return usual | {name: fields.pop(name) for name in Cohort.model_fields if name in fields}
