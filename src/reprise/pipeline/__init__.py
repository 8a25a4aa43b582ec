"""The two engines: what a job depends on, dvc.yaml from the Snakefile, presets, verification."""
