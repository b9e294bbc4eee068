"""Reading and writing schemes in other formats than grokkit's own, recognized by content and proven on reading."""

from grokkit.scheme.formats._convention import Reading
from grokkit.scheme.formats._onnx import onnx_network
from grokkit.scheme.formats._read import OWN, SchemeFile, holds_weights, load
from grokkit.scheme.formats._save import FORMATS, SUFFIXES, as_text, certificate_path, save, save_program

__all__ = [
    "FORMATS",
    "OWN",
    "SUFFIXES",
    "Reading",
    "SchemeFile",
    "as_text",
    "certificate_path",
    "holds_weights",
    "load",
    "onnx_network",
    "save",
    "save_program",
]
