"""Imports all of core and collects its tests, as where Streamlit and Playwright are missing."""

import importlib
import sys
from pathlib import Path

import pytest

sys.modules |= {"streamlit": None, "playwright": None}
ROOT = Path(__file__).parents[1]
for path in sorted((ROOT / "core").rglob("*.py")):
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    importlib.import_module(name.removesuffix(".__init__"))
sys.exit(pytest.main(["--collect-only", "-p", "no:cacheprovider"]))
