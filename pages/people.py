"""People: who uses the server, how much, and how much each may; for those who look after it."""

from ui.line import show_line
from ui.parts import errors
from ui.people import show_people

show_line("People")
with errors():
    show_people()
