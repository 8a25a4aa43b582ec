"""Prepared datasets: their sources, how they are split, written, read, augmented and batched."""
