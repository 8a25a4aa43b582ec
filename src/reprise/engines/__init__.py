"""Snakemake and DVC on one results/: what a job depends on, dvc.yaml, shared state, presets."""
