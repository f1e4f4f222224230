"""The other questions of Transfer: programs, species, images, on data whose answer is known."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from PIL import Image

import genecanvas as gcv
from core.cli import main
from core.data.store import add_dataset
from core.errors import InputError
from core.images.references import add_reference
from core.transfer.asked import transfer_folder
from core.transfer.enquiring import (
    EnquiryJob,
    ask_here,
    list_enquiries,
    load_reply_table,
    parse_enquiry,
    preview,
)
from core.transfer.enquiry import Candidate, correct, score_lines
from core.transfer.methods.image_folder import Images
from core.transfer.orthologs import keep_orthologs
from core.transfer.pictures import bring_folder, keep_images, load_images
from core.transfer.transferring import transfer_here

GENES = [f"G{number}" for number in range(200)]


def add(name: str, x: np.ndarray, genes: list[str], **columns: object) -> str:
    obs = pd.DataFrame(columns, index=[f"{name}{n}" for n in range(len(x))]).astype(str)
    data = AnnData(x.astype(np.float32) + 8, obs=obs, var=pd.DataFrame(index=genes))
    data.uns = {"scale": "log2", "notes": []}
    return add_dataset(data, name).id


def write_sets(path: Path, sets: dict[str, list[str]]) -> Path:
    path.write_text("".join(f"{name}\t\t" + "\t".join(own) + "\n" for name, own in sets.items()))
    return path


@pytest.fixture
def programs(home: Path, tmp_path: Path) -> dict:
    """Five planted programs; in the target the amount of Kind one's cells follows the first."""
    rng = np.random.default_rng(0)
    loadings = np.zeros((5, 200))
    for number in range(5):
        loadings[number, number * 20 : number * 20 + 20] = rng.uniform(0.5, 1.5, 20)
    activity = rng.gamma(2, 1, (60, 5))
    x = activity @ loadings + 0.5 * rng.normal(size=(60, 200))
    names = ["KIND_ONE", "KIND_TWO", "P3", "P4", "P5"]
    sets = {name: GENES[n * 20 : n * 20 + 20] for n, name in enumerate(names)}
    sets |= {f"other {n}": list(rng.choice(GENES, 20, replace=False)) for n in range(10)}
    amount = [f"{value:.4f}" for value in activity[40:, 0]]
    source = add("S", x[:40], GENES, y=["a", "b"] * 20)
    target = add("T", x[40:], GENES, **{"Kind one": amount, "text": ["none"] * 20,
                                        "y": ["a", "b"] * 10})  # fmt: skip
    file = write_sets(tmp_path / "sets.gmt", sets)
    return {
        "question": "programs", "source": {"dataset": source}, "target": {"dataset": target},
        "gene_sets": add_reference(file), "measured": {"Kind one": ""},
    }  # fmt: skip


@pytest.fixture
def species(home: Path, tmp_path: Path) -> dict:
    """Sets of thirty modules in two species, of which six go up in both."""
    rng = np.random.default_rng(1)
    module = np.arange(600) // 20
    up = np.where(module < 6, 1.0, 0)
    sides = []
    for letter, seed in (("H", 2), ("m", 3)):
        own = np.random.default_rng(seed)
        y = np.arange(16) % 2
        x = own.normal(size=(16, 600)) + np.outer(y, up)
        genes = [f"{letter}{n}" for n in range(600)]
        sides.append(add(letter, x, genes, y=np.array(["ill", "well"])[1 - y]))
    sets = {}
    for number in range(60):
        own = np.flatnonzero(module == number % 30)
        chosen = {*rng.choice(own, 12, replace=False), *rng.choice(600, 3, replace=False)}
        sets[f"set {number}"] = [f"H{gene}" for gene in chosen]
    table = "human,mouse\n" + "".join(f"H{n},m{n}\n" for n in range(600))
    return {
        "question": "species", "source": {"dataset": sides[0], "label": "y"},
        "source_class": "well", "target": {"dataset": sides[1], "label": "y"},
        "target_class": "well", "gene_sets": add_reference(write_sets(tmp_path / "h.gmt", sets)),
        "orthologs": keep_orthologs(table.encode()),
    }  # fmt: skip


def draw_images(number: int) -> Images:
    """Two classes by their colour, each image of another patient."""
    rng = np.random.default_rng(0)
    labels = np.arange(number) % 2
    cells = rng.integers(0, 120, (number, 8, 8, 3))
    cells[np.arange(number), :, :, labels] += 120
    pixels = cells.repeat(4, axis=1).repeat(4, axis=2).astype(np.uint8)
    names = tuple(f"c{label}/{n}.png" for n, label in enumerate(labels))
    return Images(names, pixels, ("c0", "c1"), labels, np.array(names))


def silent(share: float, text: str) -> None:
    """Listens to a job."""


def test_lines_are_scored_on_the_same_items_and_gains_corrected_together() -> None:
    truth = np.arange(40.0)
    rng = np.random.default_rng(0)
    noisy = truth + 30 * rng.normal(size=40)
    lines = score_lines(
        "x", truth,
        [Candidate("good", "method", truth**3), Candidate("bad", "method", -truth),
         Candidate("plain", "reference", noisy), Candidate("mute", "control", None, "says why")],
    )  # fmt: skip
    good, bad, plain, mute = correct(lines)
    assert (good.score, bad.score) == (pytest.approx(1), pytest.approx(-1)), "ranks alone count"
    assert good.gain == pytest.approx(1 - plain.score)
    assert (good.answer, bad.answer) == ("helps", "harms")
    assert good.p == pytest.approx(2 * lines[0].p), "Holm's method for two gains"
    assert (mute.score, mute.note, mute.answer) == (None, "says why", None)
    same = score_lines("x", truth, [Candidate("a", "method", noisy),
                                    Candidate("b", "reference", noisy)])  # fmt: skip
    assert (same[0].gain, same[0].answer) == (0, "no difference")


def test_samples_of_a_patient_are_drawn_together() -> None:
    truth = np.repeat(np.arange(10.0), 8)
    own = truth + np.repeat(np.random.default_rng(0).normal(0, 3, 10), 8)
    one = [Candidate("a", "method", own)]
    alone, together = (score_lines("", truth, one, groups)[0] for groups in (None, truth))
    assert together.high - together.low > 1.5 * (alone.high - alone.low)


def test_the_program_of_a_name_follows_what_was_measured(programs: dict) -> None:
    """And that of sets of random genes doesn't."""
    found = gcv.ask(**programs)
    method, reference, random, best = found.lines
    assert (method.role, reference.role, random.role) == ("method", "reference", "control")
    assert method.score > 0.8
    assert "KIND_ONE" in method.note
    assert random.score is None or random.score < method.score - 0.3
    assert "chosen by the answer" in best.note
    key = list_enquiries()[0].key
    table = load_reply_table(key, "activities")
    assert len(table) == 20
    assert load_reply_table(key, "programs")["fdr"].min() < 0.05, "hidden genes are found"
    with pytest.raises(InputError, match="no table"):
        load_reply_table(key, "../spec")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"measured": {"Kind one": "liver"}}, "No gene set's name has the word 'liver'"),
        ({"measured": {"text": "KIND"}}, "Expected measured numbers in column 'text'"),
        ({"measured": {"none": ""}}, "There is no column 'none'"),
        ({"question": "beauty"}, "Unknown question 'beauty'"),
        ({"variables": 1}, "variables: "),
    ],
)
def test_programs_that_cant_be_learned_are_one_sentence(
    programs: dict, change: dict, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        preview(parse_enquiry({**programs, **change}))
    assert not list_enquiries()
    assert not [*transfer_folder("0" * 16).parent.glob("*")], "nothing is stored"


def test_sets_of_other_ids_are_refused(programs: dict, tmp_path: Path) -> None:
    other = add_reference(
        write_sets(tmp_path / "other.gmt", {"a": [f"ENSG{n}" for n in range(20)]})
    )
    with pytest.raises(InputError, match="same kind of ids"):
        preview(parse_enquiry({**programs, "gene_sets": other}))


def test_sets_that_go_up_in_both_species(species: dict) -> None:
    """Plain mapping finds them; with permuted labels or orthologs nothing is left."""
    found = ask_here(parse_enquiry(species), silent)
    by_name = {line.line: line for line in found.lines}
    assert by_name["Plain mapping"].score > 0.3
    assert by_name["XGSEA's regression"].answer is not None
    for name in ("source labels permuted", "orthologs permuted"):
        assert abs(by_name[f"Plain mapping, {name}"].score) < by_name["Plain mapping"].score
    assert "or wrong" not in found.headline


def test_a_species_without_labels_gets_predictions_and_no_verdict(species: dict) -> None:
    asked = {**species, "target": {"dataset": species["target"]["dataset"]}, "target_class": None}
    found = ask_here(parse_enquiry(asked), silent)
    assert found.lines == ()
    assert "nothing says whether they are right" in found.headline
    key = EnquiryJob(enquiry=parse_enquiry(asked)).key
    assert {"set", "copied", "predicted"} <= set(load_reply_table(key, "sets"))


def test_species_that_cant_be_compared_are_one_sentence(species: dict, tmp_path: Path) -> None:
    wrong = "mouse,human\n" + "".join(f"m{n},H{n}\n" for n in range(600))
    none = "human,mouse\n" + "".join(f"X{n},y{n}\n" for n in range(600))
    few = write_sets(tmp_path / "few.gmt", {"a": [f"H{n}" for n in range(20)]})
    for change, said in (
        ({"orthologs": keep_orthologs(wrong.encode())}, "wrong way round"),
        ({"orthologs": keep_orthologs(none.encode())}, "names no gene"),
        ({"source_class": "dead"}, "has no sample of class 'dead'"),
        ({"gene_sets": add_reference(few)}, "at least 10 are needed"),
        ({"target_class": None}, "a label and a class of it, or neither"),
    ):
        with pytest.raises(InputError, match=said):
            preview(parse_enquiry({**species, **change}))


def test_images_are_kept_by_their_content(home: Path) -> None:
    images = draw_images(40)
    kept = keep_images(images, "Colours")
    assert keep_images(images, "the same again") == kept
    again = load_images(kept)
    assert (again.names, again.classes) == (images.names, images.classes)
    np.testing.assert_array_equal(again.pixels, images.pixels)
    other = replace(images, patients=np.repeat("one", 40))
    assert keep_images(other, "x") != kept, "who they are of is part of what they are"
    path = home / "pictures" / f"{kept}.npz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"images 'Colours' are damaged\. Bring"):
        load_images(kept)
    keep_images(images, "Colours")
    np.testing.assert_array_equal(load_images(kept).pixels, images.pixels)


def test_networks_on_images_beside_random_weights(home: Path) -> None:
    kept = keep_images(draw_images(64), "Colours")
    weights = {"squeezenet1_1": "scratch", "mobilenet_v2": "scratch"}
    asked = parse_enquiry({"question": "images", "images": kept, "networks": list(weights),
                           "weights": weights})  # fmt: skip
    ahead = preview(asked)
    assert "64 images of 64 patients in 2 classes (c0, c1)" in ahead.words[0]
    found = ask_here(asked, silent)
    assert [line.role for line in found.lines] == ["reference", "method", "control"]
    reference, method, control = found.lines
    assert reference.score > 0.9, "colours are seen by any network"
    assert method.answer is not None
    assert control.score < 0.8
    assert found.chance == 0.5


def test_images_that_cant_be_compared_are_one_sentence(home: Path) -> None:
    few = keep_images(draw_images(6), "few")
    with pytest.raises(InputError, match="too few to learn from"):
        preview(parse_enquiry({"question": "images", "images": few}))
    with pytest.raises(InputError, match="aren't kept here"):
        preview(parse_enquiry({"question": "images", "images": "0" * 64}))
    with pytest.raises(InputError, match="Unknown network 'lenet'"):
        parse_enquiry({"question": "images", "images": few, "networks": ["lenet"]})
    with pytest.raises(InputError, match="weights are imagenet, scratch or file"):
        parse_enquiry({"question": "images", "images": few, "weights": {"vgg16": "http://x"}})


def test_a_class_that_gets_rare(home: Path) -> None:
    rng = np.random.default_rng(0)
    y = np.arange(48) % 2
    x = rng.normal(size=(48, 40)) + 2.0 * np.outer(y, np.arange(40) < 10)
    cohort = {"dataset": add("E", x, GENES[:40], y=np.array(["no", "yes"])[y], one="x"),
              "label": "y"}  # fmt: skip
    asked = {"question": "imbalance", "cohort": cohort, "rare": "yes", "ratios": [1, 4, 50],
             "genes": 40, "draws": 3}  # fmt: skip
    ahead = preview(parse_enquiry(asked))
    assert "1:50" in ahead.words[-1], "it says which ratio can't be had"
    found = ask_here(parse_enquiry(asked), silent)
    plain = [line for line in found.lines if line.role == "reference"]
    assert [line.of for line in plain] == ["1:1", "1:4"]
    assert plain[0].score > 0.9, "clear classes are told apart by the weighted linear model"
    methods = [line for line in found.lines if line.role == "method"]
    assert len(methods) == 8
    assert all(line.answer for line in methods)
    [control] = [line for line in found.lines if line.role == "control"]
    assert control.score < 0.8
    for change, said in (
        ({"rare": "maybe"}, "has no class 'maybe'"),
        ({"cohort": {**cohort, "label": "one"}}, "Expected two classes in column 'one'"),
        ({"ratios": [90]}, "Take a smaller ratio"),
    ):
        with pytest.raises(InputError, match=said):
            preview(parse_enquiry({**asked, **change}))


def test_the_command_takes_a_folder_of_images_and_its_patients(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, folder = draw_images(48), tmp_path / "slides"
    for name, pixels in zip(images.names, images.pixels, strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name)
    rows = [f"{name},P{number // 2}" for number, name in enumerate(images.names)]
    (tmp_path / "of.csv").write_text("\n".join(["image,patient", *rows]))
    (tmp_path / "q.yaml").write_text(
        "question: images\nimages: slides\npatients: of.csv\nnetworks: [squeezenet1_1]\n"
        "weights: {squeezenet1_1: scratch}\n"
    )
    report = tmp_path / "report.html"
    given = ["transfer", str(tmp_path / "q.yaml"), "--json", "--report", str(report)]
    assert main(given) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["lines"][0]["line"] == "SqueezeNet 1.1, random weights"
    assert "of 6 patients" in told["items"]
    assert "random weights" in report.read_text()
    (tmp_path / "of.csv").write_text("image,patient\nx/y.png,P1\n")
    assert main(given) == 2
    assert "is in the table of patients" in capsys.readouterr().err
    with pytest.raises(InputError, match="There is no folder"):
        bring_folder(tmp_path / "none")


def test_the_command_asks_by_names_and_files(
    programs: dict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "q.yaml").write_text(
        "question: programs\nsource: {dataset: S}\ntarget: {dataset: T}\ngene_sets: sets.gmt\n"
        "measured: {Kind one: ''}\n"
    )
    assert main(["transfer", str(tmp_path / "q.yaml"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["transfer"] == EnquiryJob(enquiry=parse_enquiry(programs)).key
    (tmp_path / "q.yaml").write_text("question: programs\ngene_sets: none.gmt\n")
    assert main(["transfer", str(tmp_path / "q.yaml")]) == 2
    assert "There is no file" in capsys.readouterr().err


def test_methods_on_gene_sets_need_them(programs: dict) -> None:
    asked = {
        "sources": [{**programs["source"], "label": "y"}],
        "target": {**programs["target"], "label": "y"}, "budgets": [8], "draws": 3,
        "preparations": ["raw"], "methods": ["pathway_programs", "set_means"], "controls": False,
    }  # fmt: skip
    with pytest.raises(InputError, match="needs gene sets"):
        gcv_transfer(asked)
    found = gcv_transfer({**asked, "gene_sets": programs["gene_sets"]})
    assert {"pathway_programs", "set_means"} <= set(found.by_line())
    assert any("hidden genes" in one.what for one in found.examined)


def gcv_transfer(document: dict) -> gcv.Transfer:
    return transfer_here(gcv.TransferSpec.parse(document), silent)


def test_the_doctor_finds_damaged_replies_and_images(
    programs: dict, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gcv.ask(**programs)
    [one] = list_enquiries()
    kept = keep_images(draw_images(8), "x")
    assert main(["doctor"]) == 0
    reply = transfer_folder(one.key) / "reply.json"
    reply.write_text("{")
    (home / "pictures" / f"{kept}.npz").write_bytes(b"x")
    assert main(["doctor", "--repair"]) == 1
    said = capsys.readouterr().out
    assert "reply.json is damaged" in said
    assert "The images 'x' are damaged. Bring their folder again." in said
    assert not reply.exists()
