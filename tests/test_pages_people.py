"""Pages of a server that several people share: nobody finds what is another's, by whatever link."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core import sharing
from core.data.groups import keep_group
from core.data.simulate import simulate
from core.data.store import add_dataset, list_datasets, load_dataset
from core.files import read_json, write_json
from core.home import at, dataset_folder, home, run_folder, serve_one, serve_people, server_home
from core.people import list_people, welcome
from core.runs.store import RunStore
from core.stories import create_story, list_stories
from core.tissue.simulate import simulate_tissue
from core.tissue.store import add_tissue
from tests.earlier_homes import LATEST, unpack_home
from tests.pages import MAIN, button, open_page, words
from ui import signin
from ui.kept import cache_data

ANNA, BERT, ADMIN = "anna@lab.org", "bert@lab.org", "admin@lab.org"
SECRET, COHORT = "Secret", "Secret cohort"


class Seat:
    """Who sits before the pages."""

    name: str | None = ANNA


@pytest.fixture
def seat(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Seat]:
    home.mkdir()
    (home / "people.yaml").write_text(f"admins: [{ADMIN}]\n")
    found = Seat()
    monkeypatch.setenv("GENECANVAS_SIGN_IN", "openid")
    monkeypatch.setattr(signin, "_name_in", lambda _: found.name)
    signin._places.clear()
    serve_people(signin.find_place)
    yield found
    serve_one()


@pytest.fixture
def ids(seat: Seat, tmp_path: Path) -> dict[str, str]:
    """What stands in Anna's home, each thing called a secret."""
    unpack_home(LATEST, tmp_path / "unpacked" / "home")
    with at(server_home()):
        place = welcome(ANNA).home
    for path in (tmp_path / "unpacked" / "home").iterdir():
        shutil.move(path, place / path.name)
    with at(place):
        [dataset] = list_datasets()
        record = read_json(dataset_folder(dataset.id) / "record.json")
        write_json(dataset_folder(dataset.id) / "record.json", record | {"name": COHORT})
        keep_group(dataset.id, SECRET, list(load_dataset(dataset.id).obs_names[:5]))
        for run in RunStore().list():
            RunStore().label(run.id, name=SECRET, note=SECRET, tags=SECRET)
        model = "ab" * 8
        write_json(home() / "models" / model / "listing.json", {"name": SECRET})
        return {
            "dataset": dataset.id,
            "run": next(run.id for run in RunStore().list() if run.state == "done"),
            "story": create_story(SECRET).id,
            "tissue": add_tissue(simulate_tissue(spots=20), SECRET).id,
            "model": model,
        }


LINKS = [
    ("data", "dataset", "dataset"),
    ("images", "dataset", "dataset"),
    ("train", "dataset", "dataset"),
    ("run", "id", "run"),
    ("compare", "runs", "run"),
    ("explain", "run", "run"),
    ("predict", "run", "run"),
    ("predict", "run", "model"),
    ("predict", "samples", "dataset"),
    ("tissue", "tissue", "tissue"),
    ("transfer", "target", "dataset"),
    ("transfer", "id", "run"),
    ("story", "id", "story"),
    ("present", "story", "story"),
]


def look(page: str, **query: str) -> AppTest:
    """As `open_page`, with what the caches hold of other sessions."""
    app = AppTest.from_file(str(MAIN), default_timeout=300)
    for key, value in query.items():
        app.query_params[key] = value
    return app.switch_page(f"../../pages/{page}.py").run()


def everything(app: AppTest) -> str:
    """All that a page says, sends or lets choose from."""
    said = [words(app)]
    said += [str(getattr(element, "proto", "")) for element in app.main]
    said += [str(box.options) for box in app.selectbox] + [str(box.value) for box in app.text_input]
    said += [str(table.value.to_dict()) for table in app.dataframe]
    return "\n".join(said)


def test_no_page_tells_whether_anothers_thing_exists(seat: Seat, ids: dict[str, str]) -> None:
    with at(server_home()):
        bert = welcome(BERT).home
    st.cache_data.clear()
    st.cache_resource.clear()
    seen = 0
    for page, key, kind in LINKS:
        seat.name = ANNA
        own = look(page, **{key: ids[kind]})
        assert not own.exception, (page, own.exception)
        seen += SECRET in everything(own)
        seat.name = BERT
        his = look(page, **{key: ids[kind]})
        unknown = "f0" * (len(ids[kind]) // 2)
        none = look(page, **{key: unknown})
        assert not his.exception, (page, his.exception)
        assert SECRET not in everything(his), page
        said, expected = everything(his), everything(none)
        for whole, other in ((ids[kind], unknown),):
            for size in (64, 20, 16, 12, 8, 6):
                said = said.replace(whole[:size], "ID")
                expected = expected.replace(other[:size], "ID")
        assert said == expected, page
    assert seen >= 8, "Anna sees what is hers, so the caches know it"
    assert not [path for path in bert.rglob("*") if SECRET in path.name]


def test_who_has_not_signed_in_sees_a_button_and_nothing_else(
    seat: Seat, ids: dict[str, str]
) -> None:
    seat.name = None
    for page, key, kind in LINKS:
        app = look(page, **{key: ids[kind]})
        assert [button.label for button in app.button] == ["Sign in"], page
        assert SECRET not in everything(app)
    assert [person.name for person in list_people()] == [ANNA]


def test_who_may_not_come_is_told_so(
    seat: Seat, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "people.yaml").write_text(f"admins: [{ADMIN}]\nmembers: ['*@lab.org']\n")
    seat.name = "eve@evil.org"
    app = look("data")
    assert "may not use this server" in words(app)
    assert [button.label for button in app.button] == ["Sign in as somebody else"]
    monkeypatch.setenv("GENECANVAS_SIGN_IN", "header")
    app = look("data")
    assert "may not use this server" in words(app)
    assert not app.button, "who has signed them in is the proxy"


def test_a_run_is_shared_and_taken(seat: Seat, ids: dict[str, str]) -> None:
    app = look("run", id=ids["run"])
    with at(welcome_home(ANNA)):
        sharing.share("run", ids["run"])
    seat.name = BERT
    app = look("lab")
    assert not app.exception
    assert SECRET in everything(app)
    app = look("run", id=ids["run"], **{"in": "lab"})
    assert not app.exception
    assert "held-out samples are right" in words(app)
    assert "You are looking at what the lab shares" in words(app)
    button(app, "Take it").click().run()
    with at(welcome_home(BERT)):
        taken = RunStore().get(ids["run"])
        assert (taken.name, taken.note, taken.tags) == (SECRET, "", "")
        assert not (run_folder(ids["run"]) / "log.txt").exists()
        assert list_datasets() == []
    app = look("run", id=ids["run"])
    assert "held-out samples are right" in words(app)


def test_a_guest_of_a_dataset_is_not_offered_what_is_refused(
    seat: Seat, ids: dict[str, str]
) -> None:
    with at(welcome_home(ANNA)):
        token = sharing.invite("dataset", ids["dataset"])
    seat.name = None
    app = look("data", dataset=ids["dataset"], guest=token)
    assert COHORT in everything(app)
    assert not {"Add a dataset", "Delete this dataset"} & {button.label for button in app.button}


def test_a_guest_looks_at_one_run_and_changes_nothing(seat: Seat, ids: dict[str, str]) -> None:
    with at(welcome_home(ANNA)):
        token = sharing.invite("run", ids["run"])
        before = sorted(home().rglob("*"))
    seat.name = None
    app = look("run", id=ids["run"], guest=token)
    assert not app.exception
    assert "held-out samples are right" in words(app)
    assert "You are a guest" in words(app)
    other = look("data", dataset=ids["dataset"], guest=token)
    assert COHORT not in everything(other)
    labels = {button.label for button in app.button}
    if "☆" in labels:
        button(app, "☆").click().run()
    with at(server_home()):
        place = sharing.guest_home(sharing.find_invitation(token))
    with at(place, looks=True):
        assert not RunStore().get(ids["run"]).starred
        assert list_datasets() == list_stories() == []
    with at(welcome_home(ANNA)):
        assert not RunStore().get(ids["run"]).starred
        assert sorted(home().rglob("*")) == before
        sharing.end_invitation(sharing.list_invitations()[0].key)
    signin._places.clear()
    app = look("run", id=ids["run"], guest=token)
    assert "leads nowhere any more" in words(app)
    assert SECRET not in everything(app)


def test_only_admins_have_the_page_of_people(seat: Seat, ids: dict[str, str]) -> None:
    for name, there in ((BERT, False), (ADMIN, True)):
        seat.name = name
        app = AppTest.from_file(str(MAIN), default_timeout=300).run()
        if not there:
            with pytest.raises(ValueError, match="Could not find a navigation page"):
                app.switch_page("../../pages/people.py")
            continue
        app = app.switch_page("../../pages/people.py").run()
        assert not app.exception
        assert ANNA in everything(app)
        assert SECRET not in everything(app)


def test_one_person_alone_sees_nothing_of_all_this(home: Path) -> None:
    add_dataset(simulate(50, 200)[0], "mine")
    app = open_page("data")
    assert not app.exception
    assert {"Share", "Account", "Lab", "People"}.isdisjoint(everything(app).split())
    assert not list(home.glob("people*"))
    assert not list(home.glob("lab"))


def welcome_home(name: str) -> Path:
    with at(server_home()):
        return welcome(name).home


def test_what_pages_remember_is_of_a_home(seat: Seat) -> None:
    asked = []

    @cache_data(show_spinner=False)
    def read(id: str, _more: object = None) -> str:
        asked.append(id)
        return f"{home().name} {id}"

    for name in (ANNA, BERT, ANNA):
        with at(welcome_home(name)):
            assert read("x", _more=object()) == f"{home().name} x"
            assert read("x") == read("x", _more=1)
    assert len(asked) == 2
    read.clear()
