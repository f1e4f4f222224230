"""Small networks on genes, without a picture, and the one loop that trains them.

Imported by those who fit them when they do, since torch takes a second to load.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from core.jobs.job import stop_if_cancelled
from core.models.gene_models import FEATURES, UNITS, UNTOLD, scale_of

BATCH = 32
PENALTY = 1e-3
"""Weight decay (Loshchilov and Hutter 2019)."""


@contextmanager
def repeatable(seed: int) -> Iterator[None]:
    """One thread and a random state of its own: the same numbers whatever ran before."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)


class Layers(nn.Module):
    """A perceptron whose layers can be told apart: linear, ReLU, dropout; a linear head.

    Args:
        genes: values of a sample.
        widths: units of each layer.
        outputs: of the head.
        dropout: share of units left out in training.
        norm: whether each layer has batch normalisation.
    """

    def __init__(
        self,
        genes: int,
        widths: Sequence[int],
        outputs: int,
        dropout: float = 0.5,
        norm: bool = False,
    ) -> None:
        super().__init__()
        sizes = [genes, *widths]
        self.layers = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Linear(size, width),
                    *([nn.BatchNorm1d(width)] if norm else []),
                    nn.ReLU(),
                    nn.Dropout(dropout),
                )
                for size, width in zip(sizes, widths, strict=False)
            )
        )
        self.head = nn.Linear(sizes[-1], outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(samples, genes) -> (samples, outputs)."""
        return self.head(self.layers(x))


@dataclass(frozen=True)
class Trained:
    """A network that has learned, and how its values are scaled."""

    network: nn.Module
    """(samples, genes), scaled -> (samples, classes) scores, or (samples, 1) values"""
    mean: np.ndarray
    spread: np.ndarray
    """(genes,)"""

    def scale(self, x: np.ndarray) -> torch.Tensor:
        """Samples as the network takes them."""
        return as_tensor((x - self.mean) / self.spread)

    def answer(self, x: np.ndarray) -> np.ndarray:
        """(samples, classes) probabilities."""
        with repeatable(0):
            return probabilities(self.network, (x - self.mean) / self.spread)

    def value(self, x: np.ndarray) -> np.ndarray:
        """(samples,) values, of a network that was made for them."""
        with repeatable(0), torch.no_grad():
            return self.network(self.scale(x))[:, 0].double().numpy()


class Take(nn.Module):
    """Some values of a sample, in an order."""

    def __init__(self, places: np.ndarray) -> None:
        super().__init__()
        self.places = torch.from_numpy(np.array(places))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(samples, values) -> (samples, places)."""
        return x[:, self.places]


class First(nn.Module):
    """The first outputs of a network."""

    def __init__(self, network: nn.Module, outputs: int) -> None:
        super().__init__()
        self.network, self.outputs = network, outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(samples, values) -> (samples, outputs)."""
        return self.network(x)[:, : self.outputs]


class Tokens(nn.Module):
    """A vector of UNITS a gene, plus its value times another."""

    def __init__(self, genes: int) -> None:
        super().__init__()
        self.gene = nn.Parameter(torch.randn(genes, UNITS) / UNITS**0.5)
        self.value = nn.Parameter(torch.randn(genes, UNITS) / UNITS**0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(samples, genes) -> (samples, genes, UNITS)."""
        return self.gene + x[:, :, None] * self.value


class Pooled(nn.Module):
    """The mean over genes."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(samples, genes, UNITS) -> (samples, UNITS)."""
        return x.mean(dim=1)


class InUnit(nn.Module):
    """A network of standardised values, with its answers in the values' unit."""

    def __init__(self, network: nn.Module, mean: float, spread: float) -> None:
        super().__init__()
        self.network, self.mean, self.spread = network, mean, spread

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(samples, values) -> (samples, outputs)."""
        return self.mean + self.spread * self.network(x)


def build_convolution(genes: int, outputs: int) -> nn.Module:
    """A one-dimensional convolution over genes that stand in an order."""
    return nn.Sequential(
        nn.Unflatten(1, (1, genes)), nn.Conv1d(1, 16, 9, stride=3, padding=4), nn.ReLU(),
        nn.Conv1d(16, 16, 5, stride=2, padding=2), nn.ReLU(), nn.AdaptiveAvgPool1d(16),
        nn.Flatten(), nn.Dropout(0.3), nn.Linear(256, outputs),
    )  # fmt: skip


def build_transformer(genes: int, outputs: int) -> nn.Module:
    """A transformer of one layer, a token a gene."""
    layer = nn.TransformerEncoderLayer(
        UNITS, 4, 2 * UNITS, dropout=0.1, batch_first=True, norm_first=True
    )
    return nn.Sequential(
        Tokens(genes), layer, nn.LayerNorm(UNITS), Pooled(), nn.Linear(UNITS, outputs)
    )


def learn_features(x: torch.Tensor, seed: int, epochs: int) -> nn.Module:
    """The encoder (samples, genes) -> (samples, FEATURES) of an autoencoder of scaled samples."""
    network = Layers(x.shape[1], (128, FEATURES), x.shape[1], dropout=0.1)
    train(
        network, lambda rows: functional.mse_loss(network(x[rows]), x[rows]), len(x), seed, epochs
    )
    return network.layers


def features(encoder: nn.Module, x: torch.Tensor) -> np.ndarray:
    """What an encoder makes of scaled samples."""
    with torch.no_grad():
        return encoder(x).numpy()


def join_linear(encoder: nn.Module, weights: np.ndarray, offset: np.ndarray) -> nn.Module:
    """An encoder, and a linear model (features, outputs) of its features, as one network."""
    linear = nn.Linear(*weights.shape)
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(weights.T))
        linear.bias.copy_(torch.from_numpy(offset))
    return nn.Sequential(encoder, linear).eval()


class _Reversal(torch.autograd.Function):
    """Passes values on, and gradients back with the sign turned."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: torch.Tensor) -> torch.Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, grad: torch.Tensor) -> torch.Tensor:
        return -grad


def reverse_gradient(x: torch.Tensor) -> torch.Tensor:
    """x, so that what is before it learns the opposite of what is behind it.

    Ganin and Lempitsky 2015, Unsupervised domain adaptation by backpropagation.
    """
    return _Reversal.apply(x)


def one_scale(*parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and SD of each gene over the samples of all these cohorts, the SD 1 of constant genes.

    One scale for all cohorts: how they are made alike is the preparation's business.
    """
    return scale_of(np.concatenate(parts))


def tensors(x: np.ndarray, y: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Samples and their classes."""
    return as_tensor(x), torch.from_numpy(np.asarray(y, dtype=np.int64))


def as_tensor(x: np.ndarray) -> torch.Tensor:
    """Values as float32."""
    return torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))


def classify(
    network: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, y: torch.Tensor
) -> Callable[[torch.Tensor], torch.Tensor]:
    """The cross-entropy of a batch, given by its rows."""
    return lambda rows: functional.cross_entropy(network(x[rows]), y[rows])


def judge(y: np.ndarray, of_classes: bool) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """The loss of answers (rows, outputs) to some rows of samples.

    Args:
        y: (samples,) class numbers, or values; a class UNTOLD costs nothing.
        of_classes: cross-entropy if so, else the mean squared error.
    """
    if not of_classes:
        values = as_tensor(y)
        return lambda said, rows: functional.mse_loss(said[:, 0], values[rows])
    numbers = torch.from_numpy(np.asarray(y, dtype=np.int64))
    return lambda said, rows: (
        functional.cross_entropy(said, numbers[rows], reduction="sum", ignore_index=UNTOLD)
        / len(rows)
    )


def train(
    network: nn.Module,
    loss: Callable[[torch.Tensor], torch.Tensor],
    samples: int,
    seed: int,
    epochs: int,
    *,
    rate: float = 1e-3,
    judge: Callable[[], torch.Tensor] | None = None,
    patience: int = 10,
    batch: int = BATCH,
) -> None:
    """Train what of a network asks for gradients, with Adam.

    Raises Cancelled between two passes where the job that this is a part of shall stop.

    Args:
        network: all that is trained.
        loss: of a batch, whose rows it is given.
        samples: how many rows there are; batches are of nearly the same size.
        seed: of their order.
        epochs: passes at most.
        rate: learning rate.
        judge: loss of held-out samples after each pass; the pass with the least one is kept.
        patience: passes without a better one after which training ends.
        batch: rows at once, at most.
    """
    learned = [weights for weights in network.parameters() if weights.requires_grad]
    optimiser = torch.optim.AdamW(learned, lr=rate, weight_decay=PENALTY, fused=True)
    order = np.random.default_rng(seed)
    best, least, waited = None, np.inf, 0
    for _ in range(epochs):
        stop_if_cancelled()
        network.train()
        for rows in np.array_split(order.permutation(samples), -(-samples // batch)):
            optimiser.zero_grad()
            loss(torch.from_numpy(rows)).backward()
            optimiser.step()
        if judge is None:
            continue
        network.eval()
        with torch.no_grad():
            found = float(judge())
        waited = 0 if found < least else waited + 1
        if found < least:
            least = found
            best = {name: value.clone() for name, value in network.state_dict().items()}
        if waited >= patience:
            break
    if best is not None:
        network.load_state_dict(best)
    network.eval()


def probabilities(network: Callable[[torch.Tensor], torch.Tensor], x: np.ndarray) -> np.ndarray:
    """(samples, classes) of a network whose outputs are scores of classes."""
    with torch.no_grad():
        return torch.softmax(network(as_tensor(x)).double(), dim=1).numpy()


def split(y: np.ndarray, seed: int, share: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    """Rows to learn from and rows to stop by: a fifth, of each class where it has five or more."""
    rng = np.random.default_rng(seed)
    held = [
        rng.permutation(np.flatnonzero(y == number))[: round(share * (y == number).sum())]
        for number in np.unique(y)
    ]
    stop = np.concatenate(held)
    return np.setdiff1d(np.arange(len(y)), stop), np.sort(stop)
