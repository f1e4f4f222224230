"""Words by which columns and cells of tables are known: ids, genes, labels, missing values."""

import re

from core.data.roles import GROUP_NAMES, LABEL_NAMES

MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "#N/A", "."]
"""Words for a missing value, in texts and in numbers."""
_NO_NUMBER = ("na", "n/a", "n.a.", "nan", "null", "none", "<na>", "-", "--", "'--", "–", "—", "nd",
              "n.d.", "n/d", "missing", "?", "#n/a", "#div/0!", "#value!", "#ref!", "#name?",
              "#num!", "#null!", "not available", "[not available]",
              "[not applicable]")  # fmt: skip
_WRITTEN = {"", ".", *(w for word in _NO_NUMBER for w in (word, word.upper(), word.title(),
                       word.capitalize()))}  # fmt: skip
MISSING_NUMBERS = sorted({*MISSING, "NaN", *(before + word + after for word in {*_WRITTEN, "NaN"}
                          for before in ("", " ") for after in ("", " "))})  # fmt: skip
"""What stands in place of a number that is missing; as a class, ND or None would be a word."""
SAMPLE_ID_NAMES = {"sample", "samples", "sample_id", "sampleid", "sample_name", "barcode"}
GENE_ID_NAMES = {"gene", "genes", "gene_id", "geneid", "gene_name", "gene_symbol", "symbol",
                 "hugo_symbol", "hgnc_symbol", "ensembl_gene_id", "ensembl_id", "entrez",
                 "entrez_id", "entrez_gene_id", "target_id", "name"}  # fmt: skip
ID_NAMES = SAMPLE_ID_NAMES | GENE_ID_NAMES | {"", "id", "index", "unnamed: 0"}
GENE_ANNOTATION = {"chr", "chrom", "chromosome", "seqnames", "start", "end", "strand", "length",
                   "gene_length", "width", "effective_length", "biotype", "gene_biotype",
                   "gene_type", "description", "transcript_id(s)"}  # fmt: skip
METADATA_NAMES = {*LABEL_NAMES, *GROUP_NAMES, "batch", "site", "center", "centre", "plate", "age",
                  "sex", "gender", "stage", "grade", "sample_type", "tissue", "year"}  # fmt: skip
GENE_ID = re.compile(r"ENS[A-Z]*[GT]\d{6,}(\.\d+)?")
