"""Stories: what is pinned comes back as it was, in the order asked for; damage is named."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import pytest

from core.cli import main
from core.errors import DamageError, InputError
from core.home import story_folder
from core.plots.stage import enlarge, name_point, restore_figure
from core.report.render import render
from core.report.story import report_story
from core.stories import (
    Grid,
    View,
    change_story,
    create_story,
    damaged_stories,
    delete_story,
    find_story,
    keep_table,
    list_stories,
    load_story,
    load_view,
    pin,
)

POINTS = {"type": "scatter", "x": [1, 2], "y": [3, 4], "text": ["TP53", "KRT5"]}


def make_view(finding: str = "KRT5 is high", figure: dict | None = None, **fields) -> View:
    figure = {"data": [POINTS], "layout": {"height": 300}} if figure is None else figure
    table = Grid(columns=("gene", "score"), rows=(("TP53", 1), ("KRT5", 2.5)))
    return View(
        page="run", link={"id": "ab" * 8}, name="scores", finding=finding, source="20 samples",
        figure=figure or None, table=table, pinned=datetime(2026, 11, 28, tzinfo=UTC), version="1",
    ).model_copy(update=fields)  # fmt: skip


def captions(story: str) -> list[str]:
    return [pinned.caption for pinned in load_story(story).views]


def test_what_is_pinned_comes_back_as_it_was() -> None:
    story, view = create_story("  Lab\nmeeting "), make_view()
    pin(story.id, view, "Look at  KRT5")
    [pinned] = load_story(story.id).views
    assert (load_story(story.id).title, pinned.caption) == ("Lab meeting", "Look at KRT5")
    assert load_view(story.id, pinned.view) == view
    assert list_stories() == [load_story(story.id)] == [find_story(story.id[:5])]


def test_views_are_moved_paired_and_removed() -> None:
    story = create_story("Meeting").id
    for name in "abcd":
        pin(story, make_view(name), name)
    change_story(story, lambda found: found.moved(3, -1))
    assert captions(story) == ["a", "b", "d", "c"]
    change_story(story, lambda found: found.moved(0, -1))
    assert captions(story) == ["a", "b", "d", "c"]
    for place in (1, 2):
        change_story(story, lambda found, place=place: found.with_view(place, beside=True))
    slides = [[pinned.caption for pinned in slide] for slide in load_story(story).slides]
    assert slides == [["a", "b"], ["d"], ["c"]], "two stand on a slide, never three"
    change_story(story, lambda found: found.without(0))
    assert captions(story) == ["b", "d", "c"]
    assert len(list(story_folder(story).iterdir())) == 4, "the removed view's file is gone"
    delete_story(story)
    assert list_stories() == []


def test_damage_costs_itself_alone() -> None:
    whole, torn = create_story("Whole").id, create_story("Torn").id
    kept = [pin(whole, make_view(name), name).views[-1].view for name in ("one", "two")]
    (story_folder(torn) / "story.json").write_text('{"id": ')
    assert [story.id for story in list_stories()] == [whole]
    assert [story.id for story in damaged_stories()] == [torn]
    path = story_folder(whole) / f"{kept[0]}.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | {"finding": "Something else"}))
    with pytest.raises(DamageError, match="isn't what was pinned"):
        load_view(whole, kept[0])
    page = render(report_story(whole))
    assert "damaged" in page
    assert "two" in page


@pytest.mark.parametrize("story", ["", "../../etc", "A" * 16, "ab" * 8])
def test_only_ids_of_stories_are_opened(story: str) -> None:
    with pytest.raises(InputError, match=r"id of 16|There is no story"):
        load_story(story)


@pytest.mark.parametrize(
    "figure",
    [
        {"data": [{"type": "scattermap"}]},
        {"data": [POINTS | {"text": ["<a href='https://example.org'>TP53</a>", ""]}]},
        {"data": [POINTS], "layout": {"images": [{"source": "https://example.org/a.png"}]}},
        {"data": [POINTS | {"name": "<img src=x onerror=alert(1)>"}]},
    ],
)
def test_charts_hold_no_links_and_fetch_nothing(figure: dict) -> None:
    with pytest.raises(InputError, match=r"must not hold|can't be shown"):
        pin(create_story("Meeting").id, make_view(figure=figure), "")


def test_a_chart_is_enlarged_for_the_stage_and_names_its_points() -> None:
    figure = go.Figure([go.Heatmap(z=[[1]]), go.Scatter(POINTS | {"marker": {"size": [4, 8]}})])
    figure.update_layout(height=300, margin={"r": 90, "autoexpand": False})
    figure.add_annotation(text="here", font_size=10)
    large = enlarge(figure, 26, "#000000")
    sizes = [
        large.layout.font.size, large.layout.xaxis.tickfont.size,
        large.layout.yaxis.title.font.size, large.layout.legend.font.size,
        large.layout.annotations[0].font.size,
        large.data[0].colorbar.tickfont.size, large.data[0].textfont.size,
    ]  # fmt: skip
    assert sizes == [26] * 7
    assert list(large.data[1].marker.size) == [8, 16]
    assert (large.layout.height, large.layout.margin.r) == (None, 180)
    assert figure.layout.annotations[0].font.size == 10, "the chart itself is left alone"
    assert name_point(large, 1, 1) == "KRT5"
    assert name_point(large, 0, 0) is None
    with pytest.raises(DamageError, match="can't be drawn"):
        restore_figure({"data": [{"type": "scatter", "x": 1, "nonsense": 2}]})


def test_a_story_is_written_as_a_report(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    story = create_story("Meeting").id
    assert main(["report", "--story", "Meeting", str(tmp_path / "a.html")]) == 2
    assert "Nothing is pinned" in capsys.readouterr().err
    bad = "<script>alert(1)</script>"
    pin(story, make_view(), f"KRT5 tells LUSC apart {bad}")
    pin(story, make_view("The first genes", {}), "")
    change_story(story, lambda found: found.with_view(0, notes="Ask Anna"))
    assert main(["report", "--story", "Meeting", str(tmp_path / "a.html")]) == 0
    page = (tmp_path / "a.html").read_text()
    assert "KRT5 tells LUSC apart &lt;script&gt;" in page
    assert bad not in page
    assert "The first genes" in page
    assert "20 samples. Pinned 28 November 2026" in page
    assert "Ask Anna" not in page, "notes are the speaker's own"
    assert main(["report", "--story", "Other", str(tmp_path / "b.html")]) == 2
    assert main(["report", str(tmp_path / "b.html")]) == 2


def test_a_table_keeps_its_numbers_and_words() -> None:
    table = pd.DataFrame({"gene": ["A", None], "score": [0.1, float("nan")], "n": [1, 2]})
    grid = keep_table(table)
    assert grid == Grid(columns=("gene", "score", "n"), rows=(("A", 0.1, 1), (None, None, 2)))
