"""What `bench/gpu_check.sh` runs: one process for each part, one JSON file and one page for all."""
