"""GeneCanvas: expression profiles as gene-images, fine-tuned networks, and the genes they used."""

import sys

from core.extensions import load_extensions

__version__ = "0.1.0"

if "genecanvas" not in sys.modules:  # it loads them itself, once it has what they import from it
    load_extensions()
