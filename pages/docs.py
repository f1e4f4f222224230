"""Docs: what stands in the folder docs/, to be read in the app."""

from ui.docs import show_docs
from ui.parts import errors

with errors():
    show_docs()
