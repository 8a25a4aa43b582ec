"""Reprise: five computer-vision experiment reports as one reproducible pipeline."""

__version__ = "0.1.0"
