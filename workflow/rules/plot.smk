# Figures that one process draws, for its start takes longer than most of them: what they are drawn
# from, and the blocks of params.yaml that they read. Those of one seed wait for all seeds: to DVC
# the folder of a part is one dependency, and a job counts only when that was whole at its start.
FAMILIES = {
    "tables": (
        ["architecture", "epochs", "finetune", "iou", "pairs", "reported"],
        [f"results/tables/{name}.csv" for name in ["layers", "epochs", "finetune", "iou"]]
        + [f"results/tables/{name}.csv" for name in ["pairs", "seeds", "reported"]],
        [],
    ),
    "histories": (
        ["curves"],
        [of_jobs(part, "history.csv") for part in PARTS],
        PARTS,
    ),
    "confusion": (
        [f"confusion_{part}" for part in SCORED],
        ["results/tables/confusion.csv"],
        [],
    ),
    "masks": (
        [f"masks_{part}" for part in MASKS],
        [of_jobs(part, "masks") + prepared(part) for part in MASKS],
        MASKS,
    ),
    "mistakes": (
        [f"mistakes_{part}" for part in CLASSES],
        [of_jobs(part, "predictions.csv") + prepared(part) for part in CLASSES],
        CLASSES,
    ),
}
FIGURES = [figure for figures, _, _ in FAMILIES.values() for figure in figures]

for FAMILY, (DRAWN, FROM, READS) in FAMILIES.items():

    rule:
        name:
            f"plot_{FAMILY}"
        input:
            script="workflow/scripts/plot.py",
            code=closure("plot"),
            drawn=FROM,
        output:
            # mistakes_faces has the caption of all figures of mistakes
            figures=[
                report(
                    f"results/figures/{figure}.png",
                    caption=f"../report/{figure.split('_')[0]}.rst",
                    category="Figures",
                    labels={"figure": figure},
                )
                for figure in DRAWN
            ],
            vectors=expand("results/vector/{figure}.svg", figure=DRAWN),
        log:
            f"logs/plot/{FAMILY}.log",
        benchmark:
            f"logs/benchmark/plot/{FAMILY}.tsv"
        threads: 1
        resources:
            mem_mb=1000,
            runtime=10,
        params:
            figures=DRAWN,
            reads=values("plot", *READS),
        shell:
            "PYTHONPATH=src python {input.script} --figures {params.figures} --log {log}"


# the points of one source by one method
rule plot_points:
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
        method=r"(?!anything|confusion|mistakes)\w+",  # those are figures of other rules
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        figure="{method}_{source}",
        reads=values("plot", "embed.{source}", "{source}.data"),
    shell:
        "PYTHONPATH=src python {input.script} --figures {params.figure} --log {log}"


# the masks of one run of Segment Anything
use rule plot_points as plot_anything with:
    input:
        script="workflow/scripts/plot.py",
        code=closure("plot"),
        outlines="results/anything/{run}/outlines",
        scores="results/anything/{run}/scores.csv",
        about=prepared("anything"),
    output:
        figure=report(
            "results/figures/anything_{run}.png",
            caption="../report/anything.rst",
            category="Figures",
            labels={"figure": "anything {run}"},
        ),
        vector="results/vector/anything_{run}.svg",
    log:
        "logs/plot/anything_{run}.log",
    benchmark:
        "logs/benchmark/plot/anything_{run}.tsv"
    params:
        figure="anything_{run}",
        reads=values("plot", "anything.data", "anything.images", "anything.recipes.{run}"),


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
        anything=expand("results/figures/anything_{run}.png", run=config["anything"]["runs"]),
        about=[prepared(part, "index.csv", "dataset.json") for part in PARTS],
        masks=[of_jobs(part, "masks") + prepared(part) for part in MASKS],
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
        reads=values("prepare", *PARTS, "anything", "embed"),
    shell:
        "PYTHONPATH=src python {input.script} --results {params.results} --out {output.page}"
        " --log {log}"
