"""The live inspector of a store."""

from rxauth.notebook.inspector.widget import Inspection, inspect

__all__ = [
    "Inspection",
    "inspect",
]
