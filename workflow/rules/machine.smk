# What a job may use: how many run at a time here, and what a scheduler reserves on a cluster.

from shutil import which

from snakemake.utils import available_cpu_count

from reprise.engines import resources

on_cluster = workflow.nodes is not None
# More jobs than CPUs only slow each other down; this does not hold for the nodes of a cluster.
cores = workflow.global_resources["_cores"].value  # None if no job will run, as for --rulegraph
if not on_cluster and cores is not None:
    workflow.register_resource("_cores", min(cores, available_cpu_count()))

# Training jobs wait for each other where they share a GPU, not on CPU and not on a cluster, whose
# scheduler counts GPUs. What the login node of a cluster has says nothing about the others.
device = PARAMS.runtime.device
here = workflow.is_main_process and not on_cluster
GPU = int(device == "cuda" or (device == "auto" and here and which("nvidia-smi") is not None))
if here and not workflow.global_resources.get("gpu").value:
    workflow.register_resource("gpu", 1)


def options(resources):
    """The values of resources as they are on the command line or in a profile."""
    return {name: resource.raw for name, resource in (resources or {}).items()}


# of the options --default-resources and --set-resources
DEFAULTS = options(workflow.resource_settings.default_resources)
overwritten = workflow.resource_settings.overwrite_resources
OVERWRITTEN = {name: options(values) for name, values in overwritten.items()}


def gpus(stage):
    """The GPUs that a training job of a stage asks for: those of the profile, or GPU."""
    return int(OVERWRITTEN.get(stage, {}).get("gpu", GPU))


def for_processes(stage, each):
    """A function: threads or GPUs of a training, from those of each of its processes."""

    def count(wildcards):
        if PLACEHOLDERS:
            return each
        return each * resources.processes(PARAMS, stage, wildcards.task, wildcards.run)

    return count


def gpu_of(stage):
    """The GPUs of a training: here it has all to itself, a cluster gives one to each process."""
    return GPU if here else for_processes(stage, GPU)


def bound(name, resources_of):
    """A function: one of the bounds of a job, which grow with each attempt."""

    def value(wildcards, input, attempt):
        # the derivation of dvc.yaml has placeholders, for which nothing is reserved
        return 1 if PLACEHOLDERS else getattr(resources_of(wildcards, input, attempt), name)

    return value


def for_training(stage, name):
    """Memory or time of a training."""

    def training(wildcards, input, attempt):
        job = (stage, wildcards.task, wildcards.run)
        return resources.training(PARAMS, *job, Path(input.images), gpus(stage), attempt)

    return bound(name, training)


def for_preparation(name):
    """Memory or time of the preparation of a dataset."""

    def preparation(wildcards, input, attempt):
        return resources.preparation(PARAMS, wildcards.dataset, attempt)

    return bound(name, preparation)


def for_all_jobs(name):
    """Memory or time of a job that reads the outputs of all trainings."""

    def over_all_jobs(wildcards, input, attempt):
        return resources.over_all_jobs(len(jobs(PARAMS)), attempt)

    return bound(name, over_all_jobs)
