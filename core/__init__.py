"""GeneCanvas: expression profiles as gene-images, fine-tuned networks, and the genes they used."""
