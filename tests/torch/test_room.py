import runpy
import sys

import pytest

import grokkit.torch as gt
from grokkit.scheme import MissingExtra


def test_torch_is_pytorch_in_here():
    assert gt._recursion.torch is sys.modules["torch"]
    assert set(gt.__all__) == {"fast_products", "matmul"}


def test_without_torch_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"grokkit\.torch needs torch: pip install 'grokkit\[lab\]'"):
        runpy.run_path(gt.__file__)
