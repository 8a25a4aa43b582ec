# Reprise: from prepared images to one report. `snakemake --cores 4` builds everything.
# Values and axes stand in params.yaml, which common.smk reads. dvc.yaml is derived from these rules
# by `make dvc.yaml`.

from snakemake.utils import min_version

min_version("9.27")


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/state.smk"
include: "workflow/rules/prepare.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/finetune.smk"
include: "workflow/rules/classify.smk"
include: "workflow/rules/segment.smk"
include: "workflow/rules/anything.smk"
include: "workflow/rules/embed.smk"
include: "workflow/rules/architecture.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/digests.smk"
include: "workflow/rules/plot.smk"


localrules:
    all,


rule all:
    default_target: True
    input:
        get_final_output(),
