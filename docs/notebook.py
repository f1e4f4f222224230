# %% [markdown]
# # The whole way, on an example whose answer is known
#
# 600 simulated tumours of five types are read, checked, painted, learned, and carried back to
# genes. Which genes mark each type is known, so that every step can be judged. It takes one to
# two minutes on a laptop.
#
# This is a script with cells: open it in VS Code, PyCharm or Spyder, in Jupyter with Jupytext, or
# run it with `python docs/notebook.py`.

# %%
import plotly.express as px
from sklearn.metrics import roc_auc_score

import genecanvas as gcv

adata, planted = gcv.simulate()
adata

# %% [markdown]
# ## What is in the data, and what is wrong with them
#
# Your own file is `gcv.read("matrix.tsv", labels="labels.csv")`. Read the findings before you
# train: a network that tells the site instead of the tumour looks just as good.

# %%
card = gcv.check(adata, label="tumour_type", group="patient", batch="batch")
print(card.classes)
for finding in card.findings:
    print(f"{finding.severity}: {finding.message}")

# %% [markdown]
# ## Train and test
#
# The cohort says which column holds the class and which the patient; samples of one patient never
# stand on both sides of the split. `preset="recommended"` fills the rest.

# %%
cohort = gcv.Cohort(label="tumour_type", group="patient")
spec = gcv.RunSpec(cohort=cohort, preset="recommended")
run = gcv.fit(adata, spec, name="Notebook example")
print(run.headline)

# %% [markdown]
# The scores stand beside baseline models on the same genes and held-out samples. A network that
# isn't better than the tuned linear model adds nothing to accuracy.

# %%
print(f"network              {run.metrics['balanced_accuracy']:.3f}")
for name, scores in run.baselines.items():
    print(f"{name:20} {scores['balanced_accuracy']:.3f}")
run.predictions.head()

# %% [markdown]
# ## Where each gene stands
#
# The layout was fitted to the training samples only: genes that rise and fall together are
# neighbours.

# %%
layout = run.folds[0].layout
print(f"{len(layout.genes)} genes on {layout.shape[0]} x {layout.shape[1]} pixels")

# %% [markdown]
# ## Which genes spoke for each type?
#
# Integrated gradients score each gene of each held-out sample; the table has their mean per
# class.

# %%
genes = run.explain("integrated_gradients").genes
genes[genes["rank"] <= 3][["class", "rank", "gene", "score", "log2fc", "fdr"]]

# %% [markdown]
# Here the truth is known: how well do the sizes of the scores tell planted genes from all others
# (AUROC, .5 is chance)?

# %%
for name, table in genes.groupby("class"):
    truth = table["gene"].isin(planted.loc[planted["class"] == name, "gene"])
    score = table["score"]
    print(f"{name}: {roc_auc_score(truth, score):.2f} for high scores, {truth.sum()} planted genes")

# %%
brca = genes[genes["class"] == "BRCA"].assign(planted=lambda t: t["gene"].isin(planted["gene"]))
figure = px.scatter(brca, x="log2fc", y="score", color="planted", hover_name="gene")
figure

# %% [markdown]
# ## Is it more than luck?
#
# The same question with another head: does one that is trained by steps, for ten epochs, do as well
# as the linear one, which is solved? Both runs were tested on the same samples, so that their
# difference can be tested.

# %%
stepwise = gcv.RunSpec(cohort=cohort, preset="trained_head", training={"epochs": 10})
other = gcv.fit(adata, stepwise, name="Notebook example")
print(gcv.compare([run, other], metric="balanced_accuracy").headline)
