"""Every file in `traps` gives what stands in its `expected.yaml`."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from core.data.read import read_dataset
from core.errors import InputError

TRAPS = Path(__file__).parent / "traps"
EXPECTED = yaml.safe_load((TRAPS / "expected.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", EXPECTED)
def test_trap(name: str) -> None:
    expected = EXPECTED[name]
    if "error" in expected:
        with pytest.raises(InputError, match=expected["error"]) as caught:
            read_dataset(TRAPS / name)
        assert name in str(caught.value)
        return
    data = read_dataset(TRAPS / name)
    assert list(data.obs_names) == expected["samples"]
    assert list(data.var_names) == expected["genes"]
    np.testing.assert_array_equal(data.X, np.array(expected["x"], dtype=np.float32))
    assert data.X.dtype == np.float32
    for column, values in expected.get("obs", {}).items():
        assert list(data.obs[column]) == values
    assert data.uns["scale"] == expected.get("scale", data.uns["scale"])
    if "note" in expected:
        told = [*data.uns["notes"], *(finding["message"] for finding in data.uns["findings"])]
        assert re.search(expected["note"], "\n".join(told))


def test_every_trap_is_expected() -> None:
    files = {path.name for path in TRAPS.iterdir()} - {"expected.yaml"}
    assert files == set(EXPECTED)
    assert len(files) >= 40
