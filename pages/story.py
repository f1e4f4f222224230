"""Story: the views that were pinned, in the order in which they are shown."""

from ui.line import say_facts, show_line
from ui.parts import errors
from ui.story import pick_story, show_damaged, show_none, show_story

line = show_line("Story")
with errors():
    show_damaged()
    story = pick_story()
    if story is None:
        show_none()
    else:
        many = len(story.views)
        say_facts(line.facts, story.title, f"{many} view{'s' if many != 1 else ''}")
        show_story(story)
