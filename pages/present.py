"""Present: a story on the whole screen, or what the speaker has beside it."""

from ui.parts import errors
from ui.stage import show_stage

with errors():
    show_stage()
