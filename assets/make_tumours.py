"""Writes the real example, `tumours.parquet` and `tumours.csv`, from the TCGA table it is part of.

python assets/make_tumours.py EXPRESSION.parquet SAMPLES.csv

EXPRESSION holds log2 expression (samples x genes), SAMPLES a row a sample: barcode, patient,
tumour_type, sample_type. Kept are the tumours, and the genes that vary most among them once values
below 0 count as 0. Values are stored as they are, in half precision (3 to 4 digits): the program
reads the example as it reads anybody's file.
"""

import argparse
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

ABOUT = {
    "title": "TCGA: 602 primary tumours of eleven types",
    "source": "The Cancer Genome Atlas (RNA-Seq, log2 of normalised counts), by way of the R "
    "package MetaGSCA",
    "licence": "TCGA open access data: free to use and to pass on; no restricted data are in it",
    "citation": "The Cancer Genome Atlas Research Network et al. (2013), Nat Genet 45:1113-1120",
}
GENES = 2000


def main() -> None:
    """Read the tables, choose tumours and genes, write both files beside this one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("expression", type=Path)
    parser.add_argument("samples", type=Path)
    options = parser.parse_args()

    samples = pd.read_csv(options.samples, index_col=0)
    samples = samples.loc[samples["sample_type"] == "tumour", ["patient", "tumour_type"]]
    expression = pd.read_parquet(options.expression).loc[samples.index]
    raised = expression.clip(lower=0)
    spread = raised.fillna(raised.median()).var()
    genes = expression[spread.nlargest(GENES).index].astype("float16").T.rename_axis("gene")

    table = pa.Table.from_pandas(genes.reset_index(), preserve_index=False)
    about = {key.encode(): text.encode() for key, text in ABOUT.items()}
    pq.write_table(
        table.replace_schema_metadata({**table.schema.metadata, **about}),
        Path(__file__).with_name("tumours.parquet"),
        compression="zstd",
        compression_level=19,
        use_dictionary=False,
        write_statistics=False,
    )
    samples.to_csv(Path(__file__).with_name("tumours.csv"))


if __name__ == "__main__":
    main()
