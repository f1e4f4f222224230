"""GeneCanvas: expression profiles as gene-images, fine-tuned networks, and the genes they used."""

from core.extensions import load_extensions

__version__ = "0.1.0"

load_extensions()
