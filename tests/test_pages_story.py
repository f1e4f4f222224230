"""The pages Story and Present: made before the meeting, shown in it, and what is damaged named."""

from pathlib import Path

import pytest

from core.stories import change_story, create_story, load_story, pin
from tests.pages import button, charts, open_page, words
from tests.test_stories import captions, make_view


@pytest.fixture
def story() -> str:
    """A story of a chart, a table, and a chart again."""
    story = create_story("Meeting").id
    pin(story, make_view("KRT5 is high"), "KRT5 is *high*")
    pin(story, make_view("The first genes", {}), "The first genes")
    pin(story, make_view("TP53 is low"), "TP53 is low")
    return story


def test_without_a_story_the_page_says_how_to_begin() -> None:
    app = open_page("story")
    assert "There is no story yet." in words(app)
    assert button(app, "Take a bundle")


def test_a_story_is_put_in_order_and_kept(story: str) -> None:
    app = open_page("story", id=story)
    assert charts(app) == 2
    assert len(app.dataframe) == 1
    area = next(area for area in app.text_area if area.value == "TP53 is low")
    area.set_value("TP53 is lower").run()
    assert captions(story)[2] == "TP53 is lower"
    [*_, up] = [widget for widget in app.button if widget.label == "Up"]
    up.click().run()
    assert captions(story) == ["KRT5 is *high*", "TP53 is lower", "The first genes"]
    [box, _] = [box for box in app.checkbox if box.label == "Beside the one before"]
    box.check().run()
    assert load_story(story).views[1].beside
    assert "Slide 1, beside" in words(app)
    [first, *_] = [widget for widget in app.button if widget.label == "Remove"]
    first.click().run()
    assert captions(story) == ["TP53 is lower", "The first genes"]


def test_a_slide_shows_its_views_and_the_speaker_has_notes(story: str) -> None:
    change_story(story, lambda found: found.with_view(1, beside=True, notes="Ask Anna"))
    app = open_page("present", story=story, slide="1")
    assert charts(app) == 1
    assert len(app.table) == 1
    headings = [
        line for each in app.markdown for line in each.value.splitlines() if line[:1] == "#"
    ]
    assert headings == ["# Meeting", r"## KRT5 is \*high\*", "## The first genes"], "one h1 a slide"
    assert "Ask Anna" not in words(app)
    app = open_page("present", story=story, slide="9")
    assert words(app).startswith("# TP53 is low"), (
        "the last slide stands for those that aren't there"
    )
    app = open_page("present", story=story, slide="1", notes="1")
    assert charts(app) == 0
    assert [title.value for title in app.title] == ["Slide 1: notes"]
    assert "Ask Anna" in words(app)
    assert "Next: TP53 is low" in words(app)


def test_a_link_to_nothing_says_so_and_leads_on() -> None:
    for link, said, way in (
        ({"story": "ab" * 8}, "There is no story", "All stories"),
        ({"story": "../x"}, "Expected a story's id", "All stories"),
        ({}, "No story has been chosen", "Choose a story"),
    ):
        app = open_page("present", **link)
        assert said in words(app)
        assert bool(app.error) == bool(link)
        app = button(app, way).click().run()
        assert not app.exception
        assert [title.value for title in app.title] == ["Story"]


def test_damage_is_said_in_words(story: str, home: Path) -> None:
    view = load_story(story).views[0].view
    (home / "stories" / story / f"{view}.json").write_text('{"figure": 1}')
    said = words(open_page("present", story=story, slide="1"))
    assert f"The view {view}.json is damaged: it can't be read. Remove it, and pin it" in said
    (home / "stories" / story / "story.json").write_text("{")
    app = open_page("story")
    assert f"The story {story} (story.json) is damaged: it can't be read. Delete it." in words(app)
