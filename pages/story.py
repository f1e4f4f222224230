"""Story: the views that were pinned, in the order in which they are shown."""

from core.stories import list_stories
from ui.line import say_facts, show_line
from ui.parts import errors
from ui.story import pick_story, show_damaged, show_none, show_story

stories = list_stories()
line = show_line("Story", "Stories" if stories else None)
with errors():
    show_damaged()
    if not stories:
        show_none()
    else:
        story = pick_story(stories, line)
        many = len(story.views)
        say_facts(line.facts, story.title, f"{many} view{'s' if many != 1 else ''}")
        show_story(story)
