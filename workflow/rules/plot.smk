# What each figure is drawn from, and the values that it reads.
FIGURES = {
    "architecture": ["results/tables/layers.csv"],
    "curves": [path for part in PARTS for path in of_jobs(part, "history.csv")],
    "epochs": ["results/tables/epochs.csv"],
    "finetune": ["results/tables/finetune.csv", "results/tables/seeds.csv"],
    "pairs": ["results/tables/pairs.csv", "results/tables/seeds.csv"],
    "iou": ["results/tables/iou.csv"],
    "masks_segment": masks("segment") + prepared("segment"),
    "masks_street": masks("street") + prepared("street"),
}
FIGURES |= {f"confusion_{part}": ["results/tables/confusion.csv"] for part in SCORED}
FIGURES |= {
    f"mistakes_{part}": first_seed(part, "predictions.csv") + prepared(part) for part in CLASSES
}
FIGURE_READS = {
    "curves": PARTS,
    "masks_segment": ["segment"],
    "masks_street": ["street"],
} | {f"mistakes_{part}": [part] for part in CLASSES}


rule plot:
    input:
        script="workflow/scripts/plot.py",
        code=closure("plot"),
        drawn=lambda wildcards: FIGURES[wildcards.figure],
    output:
        figure=report(
            "results/figures/{figure}.png",
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
        vector="results/vector/{figure}.svg",
    log:
        "logs/plot/{figure}.log",
    benchmark:
        "logs/benchmark/plot/{figure}.tsv"
    wildcard_constraints:
        figure="|".join(FIGURES),
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        figure="{figure}",
        reads=lambda w: values("plot", *FIGURE_READS.get(w.figure, []))(w),
    shell:
        "PYTHONPATH=src python {input.script} --figure {params.figure} --out {output.figure}"
        " --vector {output.vector} --log {log}"


# the points of one source by one method
use rule plot as plot_points with:
    input:
        script="workflow/scripts/plot.py",
        code=closure("plot"),
        points="results/embed/{source}/{method}.csv",
        layout="results/embed/{source}/{method}.layout.csv",
        about=lambda wildcards: prepared(wildcards.source, "index.csv", "dataset.json"),
    output:
        figure=report(
            "results/figures/{method}_{source}.png",
            caption="../report/points.rst",
            category="Embeddings",
            labels={"source": "{source}", "method": "{method}"},
        ),
        vector="results/vector/{method}_{source}.svg",
    log:
        "logs/plot/{method}_{source}.log",
    benchmark:
        "logs/benchmark/plot/{method}_{source}.tsv"
    wildcard_constraints:
        method=r"(?!confusion|mistakes)\w+",  # those are figures of the rule above
    params:
        figure="{method}_{source}",
        reads=values("plot", "embed.{source}", "{source}.data"),


rule report:
    input:
        script="workflow/scripts/report.py",
        code=closure("report"),
        metrics="results/metrics.json",
        tables=expand("results/tables/{table}.{form}", table=TABLES + SHAPES, form=["csv", "md"]),
        digests="results/digests.csv",
        figures=expand("results/figures/{figure}.png", figure=FIGURES),
        vectors=expand("results/vector/{figure}.svg", figure=FIGURES),
        points=expand(
            "results/figures/{method}_{source}.png",
            method=config["embed"]["methods"],
            source=SOURCES,
        ),
        layouts=expand(
            "results/embed/{source}/{method}.csv",
            method=config["embed"]["methods"],
            source=SOURCES,
        ),
        about=[prepared(part, "index.csv", "dataset.json") for part in PARTS],
        masks=[masks(part) + prepared(part) for part in ["segment", "street"]],
    output:
        page="results/report.html",
    log:
        "logs/report.log",
    benchmark:
        "logs/benchmark/report.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        results=subpath(input.metrics, parent=True),
        reads=values("prepare", *PARTS, "embed"),
    shell:
        "PYTHONPATH=src python {input.script} --results {params.results} --out {output.page}"
        " --log {log}"
