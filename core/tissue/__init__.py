"""Histology: from a tile of stained tissue to the expression of genes, and how much is only depth.

Spots of spatial transcriptomics have a place on an image of the tissue and counts of genes. What a
tile of the image says of them is measured in patients that were left out, beside what the number
of reads says without any image.
"""
