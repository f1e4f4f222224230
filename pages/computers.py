"""Computers: what trains, and how to have more of it."""

from ui.computers import show_computers
from ui.parts import errors

with errors():
    show_computers()
