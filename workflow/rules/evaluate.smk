TABLES = [f"{stage}_{task}" for stage, task, _ in tasks(PARAMS)]
TABLES += ["answers", "calibration", "class_iou", "seeds", "comparisons", "confusion"]
TABLES += ["convergence", "histories", "published_numbers"]
HOMEWORKS = ["cs6550", "dlcv2021", "dlcv2022", "dlcv2023", "dlcv2024"]


rule evaluate:
    input:
        code="workflow/code/evaluate.sha256",
        published=expand("workflow/published/{name}.csv", name=["numbers", "other_solutions"]),
        # the homeworks' own recipes, with which ours are compared
        presets=expand("presets/{homework}.yaml", homework=HOMEWORKS),
        datasets=datasets_of(),
        histories=job_outputs("history.csv"),
        predictions=job_outputs("predictions.csv", *CLASSIFYING),
        masks=job_outputs("predictions", "segment"),
        shown=shown_masks(),
    output:
        metrics="results/metrics.json",
        intervals="results/intervals.json",
        csv=[
            report(
                f"results/tables/{table}.csv",
                caption="../report/table.rst",
                category="Tables",
                labels={"table": table},
            )
            for table in TABLES
        ],
        md=expand("results/tables/{table}.md", table=TABLES),
        latex=["results/latex/tables.tex", "results/latex/variables.tex"],
    log:
        "logs/evaluate.log",
    threads: 1
    resources:
        mem_mb=for_all_jobs("mem_mb"),
        runtime=for_all_jobs("runtime"),
    params:
        results=subpath(output.metrics, parent=True),
        params_keys=config_values("datasets", *STAGES, "warning"),
    message:
        "Score all predictions and compare the runs"
    shell:
        "env PYTHONPATH=src python workflow/scripts/evaluate.py --results {params.results} --log {log}"
