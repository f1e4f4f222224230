"""Bundles: what is taken elsewhere is what was written, and nothing else is taken."""

import json
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest

from core.bundle import export_bundle, import_bundle
from core.cli import main
from core.data.choices import Choices, load_choices, save_choices
from core.data.cohort import Cohort
from core.data.simulate import simulate
from core.data.store import add_dataset, get_record, list_datasets, load_dataset
from core.errors import InputError
from core.stories import change_story, create_story, list_stories, load_story, load_view, pin
from tests.test_stories import make_view


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Calling it changes to a home that has nothing yet."""

    def change() -> None:
        monkeypatch.setenv("GENECANVAS_HOME", str(tmp_path / "elsewhere"))

    return change


def make_bundle(path: Path) -> tuple[str, str]:
    """A bundle of a story and a dataset; their ids."""
    story = create_story("Meeting").id
    pin(story, make_view(), "KRT5 is high")
    data = simulate(50, 200)[0]
    data.X[0, 0] = np.nan
    dataset = add_dataset(data, "Tumours").id
    save_choices(dataset, Choices(cohort=Cohort(dataset=dataset, label="tumour_type")))
    export_bundle(path, stories=[story], datasets=[dataset])
    return story, dataset


def test_stories_and_datasets_go_there_and_back(tmp_path: Path, elsewhere) -> None:
    path = tmp_path / "a.zip"
    story, dataset = make_bundle(path)
    view = load_view(story, load_story(story).views[0].view)
    before = load_dataset(dataset)
    elsewhere()
    found = import_bundle(path)
    assert (found.stories, found.datasets, found.missing) == ([story], [dataset], {})
    assert load_view(story, view.id) == view
    after = load_dataset(dataset)
    np.testing.assert_array_equal(after.X, before.X)
    assert after.obs.equals(before.obs)
    assert get_record(dataset).name == "Tumours"
    assert load_choices(dataset).cohort.label == "tumour_type"


def test_what_is_here_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    story, dataset = make_bundle(path)
    save_choices(dataset, Choices(cohort=Cohort(dataset=dataset, label="batch")))
    assert import_bundle(path).stories == [story]
    assert len(list_stories()) == len(list_datasets()) == 1
    change_story(story, lambda found: found.with_view(0, caption="Mine"))
    [other] = import_bundle(path).stories
    assert other != story
    assert load_story(story).views[0].caption == "Mine"
    assert load_story(other).views[0].caption == "KRT5 is high"
    assert load_choices(dataset).cohort.label == "batch"


def change(path: Path, name: str, content: bytes, *, add: str | None = None) -> None:
    """Write a bundle with one file's content changed, and that said in its document."""
    with zipfile.ZipFile(path) as old:
        files = {info.filename: old.read(info) for info in old.infolist()}
    files[name] = content
    if add:
        document = json.loads(files["bundle.json"])
        files["bundle.json"] = json.dumps(document | json.loads(add)).encode()
    with zipfile.ZipFile(path, "w") as new:
        for file, data in files.items():
            new.writestr(file, data)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../out.json", "no file of a bundle"),
        ("/tmp/out.json", "no file of a bundle"),
        ("stories/../../out.json", "no file of a bundle"),
        ("stories/" + "ab" * 8 + "/story.pkl", "no file of a bundle"),
        ("stories/" + "ab" * 8 + "/story.json", "isn't named"),
    ],
)
def test_other_files_are_refused(name: str, said: str, tmp_path: Path, elsewhere) -> None:
    path = tmp_path / "a.zip"
    make_bundle(path)
    change(path, name, b"{}")
    elsewhere()
    with pytest.raises(InputError, match=said):
        import_bundle(path)
    assert list_stories() == []
    assert list_datasets() == []


def test_changed_files_are_refused(tmp_path: Path, elsewhere) -> None:
    path = tmp_path / "a.zip"
    story, _ = make_bundle(path)
    change(path, f"stories/{story}/story.json", b"{}")
    elsewhere()
    with pytest.raises(InputError, match=r"isn't what bundle\.json says"):
        import_bundle(path)


def test_a_dataset_has_the_content_of_its_id(tmp_path: Path, elsewhere) -> None:
    path = tmp_path / "a.zip"
    _, dataset = make_bundle(path)
    scale = get_record(dataset).scale
    other = "linear" if scale != "linear" else "counts"
    reference = {"name": "Tumours", "scale": other, "samples": 50, "included": True}
    with zipfile.ZipFile(path) as packed:
        matrix = packed.read(f"datasets/{dataset}/data.h5ad")
    change(path, f"datasets/{dataset}/data.h5ad", matrix,
           add=json.dumps({"datasets": {dataset: reference}}))  # fmt: skip
    elsewhere()
    with pytest.raises(InputError, match="isn't the one that its id"):
        import_bundle(path)
    assert list_datasets() == []


def test_links_and_bombs_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    link = zipfile.ZipInfo("bundle.json")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr(link, "/etc/passwd")
    with pytest.raises(InputError, match="is a link"):
        import_bundle(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("bundle.json", b" " * 200_000_000)
    with pytest.raises(InputError, match="more than a file of this size"):
        import_bundle(path)
    path.write_bytes(b"not a zip")
    with pytest.raises(InputError, match="no zip file"):
        import_bundle(path)


def test_from_the_command_line(tmp_path: Path, elsewhere, capsys: pytest.CaptureFixture) -> None:
    story, dataset = make_bundle(tmp_path / "other.zip")
    path = str(tmp_path / "a.zip")
    assert main(["bundle", path]) == 2
    assert main(["bundle", path, "--story", "Meeting", "--data", "Tumours"]) == 0
    elsewhere()
    capsys.readouterr()
    assert main(["import", path, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["stories"], said["datasets"]) == ([story], [dataset])


def test_a_damaged_stream_is_said_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("bundle.json", '{"a": 1}' * 500)
        info = packed.getinfo("bundle.json")
    whole = path.read_bytes()
    for place in range(41, 30 + len("bundle.json") + info.compress_size):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        with pytest.raises(InputError, match=r"can't be unpacked|damaged"):
            import_bundle(path)


@pytest.mark.parametrize("packed", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_DEFLATED])
def test_a_damaged_stream_of_any_packing_is_refused(packed: int, tmp_path: Path) -> None:
    path, content = tmp_path / "sent.zip", bytes(range(256)) * 40
    with zipfile.ZipFile(path, "w", packed) as file:
        file.writestr("bundle.json", content)
    damaged = bytearray(path.read_bytes())
    damaged[60:90] = bytes(30)
    path.write_bytes(damaged)
    with pytest.raises(InputError, match="can't be unpacked"):
        import_bundle(path)
