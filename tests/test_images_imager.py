"""What the three channels hold; painting itself is tested with the layouts."""

import numpy as np
import pytest
import torch

from core.errors import InputError
from core.images.imager import IMAGENET_MEAN, IMAGENET_SD, GeneImager, rank_within_samples
from core.images.layout import GeneLayout


def make_layout() -> GeneLayout:
    """Three genes on a canvas of 2 x 2; the last pixel is free."""
    row, col = np.array([0, 0, 1]), np.array([0, 1, 0])
    return GeneLayout("test", np.array(["A", "B", "C"]), row, col, (2, 2))


def make_imager() -> GeneImager:
    mean, sd = np.array([0.5, 0.2, 0.3]), np.array([0.1, 0.1, 0.01])
    return GeneImager(make_layout(), 2, "value_z_rank", mean, sd).double()


def test_channels_hold_value_z_and_rank() -> None:
    images = make_imager()(torch.tensor([[0.6, 0.0, 0.9]], dtype=torch.float64))
    channels = images[0].permute(1, 2, 0) * torch.tensor(IMAGENET_SD) + torch.tensor(IMAGENET_MEAN)
    # z: 1, -2 and 60, clipped at 4; 0 is painted as .5, 4 as 1
    expected = [[0.6, 0.5 + 1 / 8, 0.5], [0, 0.5 - 2 / 8, 0], [0.9, 1, 1]]
    assert np.allclose(channels.reshape(4, 3)[:3], expected)
    assert (images[0, :, 1, 1] == 0).all()


def test_equal_values_share_the_mean_of_their_ranks() -> None:
    ranks = rank_within_samples(torch.tensor([[0.5, 0.1, 0.5, 0.5, 0.9], [3.0, 3, 3, 3, 3]]))
    assert ranks.tolist() == [[0.5, 0, 0.5, 0.5, 1], [0.5] * 5]


def test_gradients_flow_through_value_and_z() -> None:
    x = torch.tensor([[0.6, 0.1, 0.31]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(make_imager(), (x,))


def test_z_without_mean_and_sd_is_refused() -> None:
    with pytest.raises(InputError, match="need mean and SD"):
        GeneImager(make_layout(), 2, "value_z_rank")
