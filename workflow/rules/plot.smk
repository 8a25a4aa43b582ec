# The figures of a family are drawn by one process, because starting one takes as long as drawing two
# figures. A rule has the name of its family; reprise.figures lists the figures.


# from the tables of evaluate and model_summary: comparisons, IoU, accuracy of fine-tuning, ...
rule plot_tables:
    input:
        code="workflow/code/plot_tables.sha256",
        # all of them, which to DVC are one dependency: it shows each as a column
        tables=expand(
            "results/tables/{table}.{form}",
            table=[*TABLES, "networks", "layers"],
            form=["csv", "md"],
        ),
    output:
        figures=drawings("tables"),
        vectors=vectors("tables"),
    log:
        "logs/plot/tables.log",
    threads: 1
    resources:
        mem_mb=for_all_jobs("mem_mb"),
        runtime=for_all_jobs("runtime"),
    params:
        figures=figures(PARAMS, "tables"),
        # `pretrain`: which networks have a target network
        params_keys=config_values("plot", "pretrain"),
    message:
        "Draw {params.figures}"
    shell:
        "env PYTHONPATH=src python workflow/scripts/plot.py --figures {params.figures} --log {log}"


# loss and score of every epoch
use rule plot_tables as plot_curves with:
    input:
        code="workflow/code/plot_curves.sha256",
        histories=job_outputs("history.csv"),
        # scores by epoch of the starter, which the run of `published_curve` is drawn over
        starter=[
            "workflow/published/starter_epochs.csv"
            for task in PARAMS.segment.values()
            if task.published_curve
        ][:1],
    output:
        figures=drawings("curves"),
        vectors=vectors("curves"),
    log:
        "logs/plot/curves.log",
    params:
        figures=figures(PARAMS, "curves"),
        params_keys=config_values("plot", *axis_keys(), *keys_of_homeworks()),


use rule plot_tables as plot_confusion with:
    input:
        code="workflow/code/plot_confusion.sha256",
        table="results/tables/confusion.csv",
    output:
        figures=drawings("confusion"),
        vectors=vectors("confusion"),
    log:
        "logs/plot/confusion.log",
    params:
        figures=figures(PARAMS, "confusion"),
        params_keys=config_values("plot"),


# The next two show one seed and wait for all: to DVC the folder of a task is one dependency, and a
# job is recorded only if that was complete when it started.
use rule plot_tables as plot_misclassified with:
    input:
        code="workflow/code/plot_misclassified.sha256",
        predictions=job_outputs("predictions.csv", *CLASSIFYING),
        datasets=datasets_of(*CLASSIFYING),
    output:
        figures=drawings("misclassified"),
        vectors=vectors("misclassified"),
    log:
        "logs/plot/misclassified.log",
    params:
        figures=figures(PARAMS, "misclassified"),
        params_keys=config_values("plot", *axis_keys(*CLASSIFYING)),


use rule plot_tables as plot_masks with:
    input:
        code="workflow/code/plot_masks.sha256",
        masks=job_outputs("masks", "segment"),
        datasets=datasets_of("segment"),
    output:
        figures=drawings("masks"),
        vectors=vectors("masks"),
    log:
        "logs/plot/masks.log",
    params:
        figures=figures(PARAMS, "masks"),
        params_keys=config_values("plot", "segment"),


# PCA or t-SNE of the features of one trained network
use rule plot_tables as plot_embeddings with:
    input:
        code="workflow/code/plot_embeddings.sha256",
        points="results/embed/{name}/{method}.csv",
        layout="results/embed/{name}/{method}.layout.csv",
        dataset=embedded_dataset,
    output:
        figure=report(
            "results/figures/{method}_{name}.png",
            caption="../report/embeddings.rst",
            category="Embeddings",
            labels={"name": "{name}", "method": "{method}"},
        ),
        vector="results/vector/{method}_{name}.svg",
    log:
        "logs/plot/{method}_{name}.log",
    wildcard_constraints:
        name=names_in("embed"),
    params:
        figures="{method}_{name}",
        params_keys=config_values("plot", "embed.{name}"),


# the masks of one run of Segment Anything
use rule plot_tables as plot_segment_anything with:
    input:
        unpack(dataset_input("segment_anything")),
        code="workflow/code/plot_segment_anything.sha256",
        outlines="results/segment_anything/{task}/{run}/outlines",
        scores="results/segment_anything/{task}/{run}/scores.csv",
    output:
        figure=report(
            "results/figures/segment_anything_{task}_{run}.png",
            caption="../report/segment_anything.rst",
            category="Figures",
            labels={"figure": "segment_anything_{task}_{run}"},
        ),
        vector="results/vector/segment_anything_{task}_{run}.svg",
    log:
        "logs/plot/segment_anything_{task}_{run}.log",
    wildcard_constraints:
        task=names_in("segment_anything"),
    params:
        figures="segment_anything_{task}_{run}",
        params_keys=config_values(
            "plot",
            "segment_anything.{task}.data",
            "segment_anything.{task}.images",
            "segment_anything.{task}.recipes.{run}",
        ),
