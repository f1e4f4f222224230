"""The command line: documents with stable keys, and one clear message for every mistake."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from core.cli import COMMANDS, build_parser, main
from core.data.read import read_dataset
from core.data.store import add_dataset, list_datasets
from core.runs.network_genes import write_genes
from core.runs.spec import PRESETS
from core.runs.store import RunStore

TINY = ["--image-size", "32", "--genes", "60", "--epochs", "1", "--pool", "2"]
METRICS = {"accuracy", "balanced_accuracy", "macro_f1", "mcc", "macro_auroc", "average_precision",
           "brier", "calibration_error"}  # fmt: skip


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    path = tmp_path / "cohort.csv"
    arguments = ["simulate", "--out", str(path), "--truth", str(tmp_path / "truth.csv")]
    assert main([*arguments, "--samples", "90", "--genes", "200"]) == 0
    return path


def fail(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that must be refused; gives back its one line."""
    capsys.readouterr()
    assert main(list(arguments)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    return lines[0]


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:
    capsys.readouterr()
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_simulate_and_check(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    header = cohort.read_text().partition("\n")[0].split(",")
    assert header[:4] == ["sample", "tumour_type", "patient", "batch"]
    assert len(header) == 204
    truth = pd.read_csv(tmp_path / "truth.csv")
    assert list(truth) == ["gene", "class", "direction", "effect"]
    card = document(
        capsys, "data", "check", str(cohort), "--label", "tumour_type", "--group", "patient"
    )
    assert {"samples", "genes", "classes", "scale", "findings"} <= set(card)
    assert (card["samples"], card["genes"], card["scale"]) == (90, 200, "counts")
    assert sum(card["classes"].values()) == 90
    assert all({"severity", "code", "message"} <= set(finding) for finding in card["findings"])


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A table with awkward names: a class with an equals sign, values with commas."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(6, 1, (24, 12)).round(3), columns=[f"G{n}" for n in range(12)])
    frame.insert(0, "sample", [f"S{n}" for n in range(24)])
    frame["a=b"] = ["lung, left", "lung, right", 'say "x"'] * 8
    frame["stage"] = [1.0, 2.0] * 12
    frame["thing"] = [n % 3 for n in range(24)]
    path = tmp_path / "odd.csv"
    frame.to_csv(path, index=False)
    return path


def test_check_tells_notes_columns_and_how_to_read_otherwise(
    odd: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = document(capsys, "data", "check", str(odd))
    assert card["genes"] == 12
    assert any("Samples are in rows" in note for note in card["notes"])
    assert {"name": "thing", "role": "label"}.items() <= card["columns"][0].items()
    finding = next(finding for finding in card["findings"] if finding["code"] == "not_a_gene")
    assert finding["repair"]["changes"] == {"roles": {"thing": "gene"}}
    assert main(["data", "check", str(odd)]) == 0
    assert "Take thing as a gene: --role thing=gene" in capsys.readouterr().out
    assert document(capsys, "data", "check", str(odd), "--role", "thing=gene")["genes"] == 13


def test_roles_and_orientation_on_the_command_line(
    odd: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    roles = ["--role", "a=b=ignore", "--role", '"stage"=class']
    card = document(capsys, "data", "check", str(odd), *roles)
    assert card["label"] == "stage"
    assert card["classes"] == {"1": 12, "2": 12}
    turned = pd.read_csv(odd).set_index("sample")[[f"G{n}" for n in range(12)]].T
    turned.to_csv(odd)
    for where, size in (("genes_in_rows", 24), ("samples_in_rows", 12)):
        card = document(capsys, "data", "check", str(odd), "--orientation", where)
        assert card["samples"] == size


@pytest.mark.parametrize(
    ("condition", "samples"),
    [
        ('"a=b"="lung, left"', 8),
        ('"a=b"="lung, left","lung, right"', 16),
        ('"a=b"="say ""x"""', 8),
        ("stage=1,2", 24),
        ('"stage=1"', 12),
    ],
)
def test_conditions_are_quoted_as_in_csv(
    odd: Path, capsys: pytest.CaptureFixture[str], condition: str, samples: int
) -> None:
    card = document(capsys, "data", "check", str(odd), "--where", condition)
    assert card["samples"] == samples


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--role", "stage"], "COLUMN=ROLE"),
        (["--role", "stage=klass"], "one of: id, class"),
        (["--role", "stag=class"], "Did you mean 'stage'"),
        (["--label", "stage", "--role", "stage=gene"], "can't be 'gene' at once"),
        (["--where", "stage"], "COLUMN=VALUE"),
    ],
)
def test_a_role_that_can_t_be_is_refused(
    odd: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert message in fail(capsys, "data", "check", str(odd), *arguments)


def test_roles_are_for_files_only(cohort: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = add_dataset(read_dataset(cohort), "kept")
    line = fail(capsys, "data", "check", record.id[:8], "--role", "batch=label")
    assert "stored already" in line


def test_the_column_said_to_be_the_class_is_trained_on(
    cohort: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = document(
        capsys, "run", "--data", str(cohort), "--role", "batch=class", "--role",
        "patient=patient", *TINY,
    )  # fmt: skip
    chosen = result["spec"]["cohort"]
    assert (chosen["label"], chosen["group"]) == ("batch", "patient")


@pytest.mark.parametrize("layout", ["order", "random", "pca_grid"])
def test_layout(
    layout: str, cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "layout.npz"
    made = document(capsys, "layout", str(cohort), "--layout", layout, "--out", str(out))
    with np.load(out, allow_pickle=False) as file:
        assert {"genes", "row", "col", "shape"} <= set(file.files)
        assert len(file["genes"]) == len(file["row"]) == len(file["col"]) == made["genes"]
        assert file["shape"].tolist() == made["shape"]


def test_the_whole_job(cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start = ["run", "--data", str(cohort), "--label", "tumour_type", "--group", "patient", *TINY]
    run = document(capsys, *start)
    assert {"run", "state", "spec", "metrics", "baselines", "seconds"} <= set(run)
    assert run["state"] == "done"
    assert set(run["metrics"]) == METRICS
    assert set(run["baselines"]["logistic_regression"]) == METRICS
    again = document(capsys, *start)
    assert again == run

    spec = tmp_path / "run.yaml"
    spec.write_text(json.dumps(run["spec"]))
    other = document(capsys, "run", str(spec), "--seed", "1")
    assert other["run"] != run["run"]

    out = tmp_path / "genes.csv"
    found = document(capsys, "explain", run["run"][:8], "--class", "KIRC", "--out", str(out))
    assert list(found["top_genes"]) == ["KIRC"]
    table = pd.read_csv(out)
    assert {"gene", "class", "score", "rank", "log2fc", "fdr"} <= set(table)
    assert len(table) == 60

    assert "compare --baselines" in fail(capsys, "explain", run["run"], "--network", "perceptron")
    scores = {"integrated_gradients": [1.0, 2.0], "saliency": [2.0, 1.0]}
    kept = pd.DataFrame({"gene": ["A", "B"], "class": "KIRC", "samples": 3, **scores})
    write_genes(run["run"], "perceptron", [kept])
    beside = ("explain", run["run"], "--network", "perceptron")
    assert document(capsys, *beside)["top_genes"] == {"KIRC": ["B", "A"]}
    assert document(capsys, *beside, "--method", "saliency")["top_genes"] == {"KIRC": ["A", "B"]}
    assert "no class 'X'" in fail(capsys, *beside, "--class", "X")
    assert "without a trust card" in fail(capsys, *beside, "--evidence")
    assert "--baselines" in fail(capsys, "compare", run["run"], "--second", "patient")

    compared = document(capsys, "compare", run["run"], other["run"])
    assert [row["settings"] for row in compared["runs"]] == [{"seed": 0}, {"seed": 1}]
    assert len(document(capsys, "runs", "list")["runs"]) == 2
    assert document(capsys, "runs", "show", run["run"])["metrics"] == run["metrics"]
    assert "is done and can't be cancelled" in fail(capsys, "runs", "cancel", run["run"])
    assert "can be resumed" in fail(capsys, "runs", "resume", run["run"])
    assert document(capsys, "runs", "delete", run["run"])["deleted"]
    assert "found none" in fail(capsys, "runs", "show", run["run"])


def test_a_preset_holds_where_no_option_does(
    cohort: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = document(
        capsys, "run", "--data", str(cohort), "--label", "tumour_type", "--preset", "trained_head",
        "--genes", "60", "--epochs", "1",
    )  # fmt: skip
    recipe = PRESETS["trained_head"].parts
    assert run["spec"]["network"]["freeze"] == recipe["network"]["freeze"] == "backbone"
    assert run["spec"]["training"]["epochs"] == 1
    assert "is done, not running" in fail(capsys, "runs", "finish", run["run"])


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_bad_files_are_refused_and_nothing_is_stored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {
        "empty.csv": ("", "is empty"),
        "letter.csv": ("Dear colleague,\nwe regret to say\nthat there is no table\n", "letter.csv"),
        "words.csv": ("sample,A,B\ns1,x,y\ns2,z,w\n", "number"),
        "twice.csv": ("sample,tumour_type,TP53,KLK3\ns1,a,1,2\ns1,b,3,4\n", "s1"),
        "one.csv": (
            "sample,tumour_type,TP53,KLK3\n" + "".join(f"s{i},a,{i},2.5\n" for i in range(9)),
            "at least two classes",
        ),
        "small.csv": (
            "sample,tumour_type,TP53,KLK3\n"
            + "".join(f"s{i},{'a' if i else 'b'},{i},2.{i}\n" for i in range(9)),
            "at least 3 samples",
        ),
    }
    for name, (text, expected) in files.items():
        path = write(tmp_path / name, text)
        assert expected in fail(capsys, "run", "--data", path, "--label", "tumour_type", *TINY), (
            name
        )
    assert list_datasets() == []
    assert RunStore().list() == []


def test_labels_of_other_samples_are_refused(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = write(tmp_path / "labels.csv", "sample,kind\nX1,a\nX2,b\n")
    error = fail(capsys, "data", "check", str(cohort), "--labels", labels, "--label", "kind")
    assert "labels.csv" in error
    assert "S0001" in error


def test_two_tables_of_labels_and_the_files_symbols(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    genes = "".join(f"ENSG0000000000{n}\tG{n}\t{n}\t{9 - n}\t{n * n}\n" for n in range(1, 8))
    matrix = write(tmp_path / "m.tsv", "gene_id\tgene_name\tS1\tS2\tS3\n" + genes)
    sheet = write(tmp_path / "sheet.csv", "sample,case_id\nS1,C1\nS2,C2\nS3,C3\n")
    clinical = write(tmp_path / "clinical.csv", "case_id,kind\nC1,a\nC2,b\nC3,b\n")
    card = document(
        capsys, "data", "check", matrix, "--labels", sheet, "--labels", clinical, "--label", "kind",
        "--symbols",
    )  # fmt: skip
    assert card["classes"] == {"a": 1, "b": 2}
    assert "ids" not in [finding["code"] for finding in card["findings"]]


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--backbone", "vgg99", "Known: vgg16, vgg19, resnet50, resnet101, resnet152"),
        ("--layout", "spiral", "Known: pca_grid, order, random"),
        (
            "--augmentation",
            "magic",
            "Known: expression, noise, repeat_noise, thinning, gene_dropout",
        ),
        ("--freeze", "stage9", "Known: nothing, backbone"),
        ("--backbone", "resnet5", "Did you mean 'resnet50'?"),
        ("--head", "scale", "Known: linear, scales, position, torchvision. Did you mean 'scales'?"),
        (
            "--preset",
            "recomended",
            "Known: recommended, few_genes, robust, trained_head, throughout, paper. Did you mean "
            "'recommended'?",
        ),
        ("--orientation", "samples", "Known: auto, samples_in_rows"),
        ("--epochs", "0", "greater than or equal to 1"),
        ("--epochs", "many", "valid integer"),
        ("--genes", "3", "greater than or equal to 4"),
        ("--label", "grade", "no label column 'grade'"),
        ("--group", "donor", "no patient column 'donor'"),
        ("--where", "batch=batch 9", "has no value 'batch 9'"),
        ("--weights", "file:/nowhere/net.pth", "/nowhere/net.pth"),
        ("--weights", "best", "Known: imagenet, scratch"),
    ],
)
def test_a_wrong_option_is_named_and_nothing_is_stored(
    option: str, value: str, expected: str, cohort: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = ["run", "--data", str(cohort), "--label", "tumour_type", *TINY, option, value]
    assert expected in fail(capsys, *start)
    assert list_datasets() == []
    assert RunStore().list() == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "--data", "missing.csv", "--layout", "randon"], "Did you mean 'random'?"),
        (["explain", "0123", "--method", "integrated"], "Did you mean 'integrated_gradients'?"),
        (["explain", "0123", "--baseline", "means"], "Did you mean 'mean'?"),
        (["compare", "0123", "--metric", "acuracy"], "Did you mean 'accuracy'?"),
        (["layout", "missing.csv", "--out", "x", "--scaling", "zscores"], "Did you mean 'zscore'?"),
        (["runs", "shwo"], "`genecanvas runs --help` lists what there is"),
    ],
)
def test_a_typo_is_told_before_anything_is_read(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert expected in fail(capsys, *arguments)


def test_app_hands_what_follows_to_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    handed = []
    monkeypatch.setattr("core.cli.app.serve", lambda options: handed.append(options) or 0)
    assert main(["app", "--server.port", "8502"]) == 0
    assert handed == [["--server.port", "8502"]]


def test_help_names_choices_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert text.startswith("usage: genecanvas run")
    assert "Pixels per side that the network sees. (default: 64)" in text
    assert "One of linear, scales, position, torchvision. (default: scales)" in text
    assert "tmm: per million" in text


def test_a_truncated_checkpoint_is_refused(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "net.pth"
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, path)
    path.write_bytes(path.read_bytes()[:900])
    start = ["run", "--data", str(cohort), "--label", "tumour_type", *TINY]
    assert "cut short" in fail(capsys, *start, "--weights", f"file:{path}")
    assert RunStore().list() == []


def test_the_program_exits_with_2_on_a_mistake(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "core",
        "data",
        "check",
        str(tmp_path / "missing.csv"),
        "--json",
    ]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert "missing.csv" in answer.stderr


def test_stored_cohorts_are_joined(cohort: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = read_dataset(cohort)
    for name, half in (("here", data[:40]), ("there", data[40:])):
        add_dataset(half.copy(), name)
    joint = document(capsys, "data", "join", "here", "there", "--name", "both")
    assert (joint["name"], joint["samples"], joint["genes"]) == ("both", 90, 200)
    assert "--column NEW=A,B" in fail(
        capsys, "data", "join", "here", "there", "--name", "x", "--column", "type=tumour_type"
    )
    assert "two or more" in fail(capsys, "data", "join", "here", "--name", "x")


def test_a_model_is_applied_to_other_samples(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    roles = ["--label", "tumour_type", "--group", "patient"]
    run = document(capsys, "run", "--data", str(cohort), *roles, *TINY)["run"]
    table = pd.read_csv(cohort)
    others = table.iloc[::2].assign(sample=[f"new {name}" for name in table["sample"][::2]])
    others["tumour_type"] = others["tumour_type"].replace({"BRCA": "breast"})
    others.to_csv(tmp_path / "others.csv", index=False)
    arguments = ["predict", run[:8], str(tmp_path / "others.csv"), *roles]
    out = tmp_path / "calls.csv"
    found = document(capsys, *arguments, "--merge", "breast=BRCA", "--csv", str(out))
    assert {"model", "request", "match", "summary", "csv", "report"} == set(found)
    assert found["match"]["found"] == found["match"]["needed"] == 60
    assert found["summary"]["n"] == len(others) == len(pd.read_csv(out))
    assert found["summary"]["expected"] == 0.05
    assert sum(found["summary"]["called"].values()) == len(others)
    assert found["request"]["cohort"]["merge"] == {"breast": "BRCA"}

    assert main([*arguments, "--merge", "breast=BRCA"]) == 0
    text = capsys.readouterr().out
    assert "60 of 60 genes of the model are there" in text
    assert f"of {len(others)} samples" in text

    others[["sample", "tumour_type", "patient"]].assign(X1=1.5, X2=2, X3=3).to_csv(
        tmp_path / "strange.csv", index=False
    )
    refused = fail(capsys, "predict", run[:8], str(tmp_path / "strange.csv"))
    assert "0 of the model's 60 genes are there" in refused
    assert "no class 'x'" in fail(capsys, *arguments, "--merge", "x=BRCA")
    assert "CLASS=CLASS" in fail(capsys, *arguments, "--merge", "breast")
    assert "begins with 'none'" in fail(capsys, "predict", "none", str(cohort))


SLOW = {"anndata", "h5py", "pandas", "scipy", "sklearn", "streamlit", "torch"}
"""Packages that take longer to load than a list of runs takes to print."""


@pytest.mark.parametrize("words", ["--help", "runs --help", "runs list"])
def test_looking_loads_nothing_that_computes(words: str, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from core.cli import main\n"
        "try:\n"
        f"    main({words.split()!r})\n"
        "finally:\n"
        f"    print(*sorted({SLOW!r} & set(sys.modules)), file=sys.stderr)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, "GENECANVAS_HOME": str(tmp_path)},
    )  # fmt: skip
    assert answer.stderr.strip() == ""
    assert answer.stdout


def test_the_help_names_each_command_as_its_module_does() -> None:
    whole = build_parser("").format_help()
    for command in COMMANDS:
        assert build_parser(command).format_help() == whole
