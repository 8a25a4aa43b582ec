# Reprise: from prepared images to one report. `snakemake --cores 4` builds everything.
# All values are in params.yaml. dvc.yaml is derived from these rules by `make dvc.yaml`.

from snakemake.utils import min_version

min_version("9.27")


report: "workflow/report/workflow.rst"


##### What the rules share #####


include: "workflow/rules/common.smk"
include: "workflow/rules/machine.smk"
include: "workflow/rules/state.smk"


##### Datasets #####


include: "workflow/rules/prepare.smk"


##### Training: one rule a stage, one job for each task, run and seed #####


include: "workflow/rules/pretrain.smk"
include: "workflow/rules/finetune.smk"
include: "workflow/rules/classify.smk"
include: "workflow/rules/segment.smk"
include: "workflow/rules/segment_anything.smk"


##### Numbers #####


include: "workflow/rules/model_summary.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/checksums.smk"
include: "workflow/rules/embed.smk"


##### Figures and the report #####


include: "workflow/rules/plot.smk"
include: "workflow/rules/report.smk"


##### Target #####


localrules:
    all,


rule all:
    default_target: True
    input:
        "results/report.html",
        expand("results/prepare/{dataset}/dataset.json", dataset=PARAMS.datasets),
