"""Inverse power laws: exact recovery, bounds, extrapolation."""

import numpy as np
import pytest

from core.evaluation.curve import fit_power_law


@pytest.mark.parametrize(("floor", "scale", "exponent"), [(0.02, 1.0, 0.5), (0.0, 3.0, 1.0)])
def test_a_law_is_found_again(floor: float, scale: float, exponent: float) -> None:
    sizes = np.array([50, 100, 200, 400])
    law = fit_power_law(sizes, floor + scale * sizes**-exponent)
    assert law.exponent[0] == pytest.approx(exponent)
    assert law.floor[0] == pytest.approx(floor, abs=1e-9)
    assert law.predict([800])[0, 0] == pytest.approx(floor + scale * 800**-exponent)


def test_more_samples_never_harm_and_errors_stay_above_zero() -> None:
    sizes = np.array([50, 100, 200])
    law = fit_power_law(sizes, np.array([[0.1, 0.2, 0.3], [0.2, 0.05, 0.0]]))
    assert law.predict([50, 800])[0] == pytest.approx([0.2, 0.2])
    assert (law.predict([400, 10_000])[1] >= 0).all()
    assert law.floor[1] == 0


def test_two_sizes_are_enough() -> None:
    law = fit_power_law(np.array([100, 200]), np.array([0.2, 0.1]))
    assert law.predict([100, 200])[0] == pytest.approx([0.2, 0.1])
