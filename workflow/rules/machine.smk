# What this machine has: how many jobs run at a time, and whether they share a GPU.

from shutil import which

from snakemake.utils import available_cpu_count

# More jobs than CPUs only slow each other down; this does not hold for the nodes of a cluster.
cores = workflow.global_resources["_cores"].value  # None if no job will run, as for --rulegraph
if workflow.nodes is None and cores is not None:
    workflow.register_resource("_cores", min(cores, available_cpu_count()))

# Training jobs wait for each other where they share a GPU (the profile offers one), not on CPU.
device = PARAMS.runtime.device
GPU = int(device == "cuda" or (device == "auto" and which("nvidia-smi") is not None))
