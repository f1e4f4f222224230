"""GeneCanvas: expression profiles as gene-images, fine-tuned networks, and the genes they used."""

from core.extensions import load_extensions

load_extensions()
