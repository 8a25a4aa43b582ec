# the template of the page with its macros, style and scripts, and the captions of its figures
PAGE = sorted(str(path) for path in Path("workflow/report").iterdir() if path.is_file())


rule report:
    input:
        code="workflow/code/report.sha256",
        page=PAGE,
        metrics="results/metrics.json",
        intervals="results/intervals.json",
        checksums="results/checksums.csv",
        tables=expand(
            "results/tables/{table}.{form}",
            table=[*TABLES, "networks", "layers"],
            form=["csv", "md"],
        ),
        figures=expand("results/figures/{figure}.png", figure=figures(PARAMS)),
        vectors=expand("results/vector/{figure}.svg", figure=figures(PARAMS)),
        layouts=[
            f"results/embed/{name}/{method}.csv"
            for name, block in PARAMS.embed.items()
            for method in block.methods
        ],
        datasets=datasets_of(),
        masks=job_outputs("masks", "segment"),
        # what `make data` left out, if anything
        missing=[path for path in ["data/missing.csv"] if Path(path).is_file()],
    output:
        page="results/report.html",
    log:
        "logs/report.log",
    threads: 1
    resources:
        mem_mb=for_all_jobs("mem_mb"),
        runtime=for_all_jobs("runtime"),
    params:
        results=subpath(input.metrics, parent=True),
        params_keys=config_values("datasets", *STAGES, "segment_anything", "embed", "warning"),
    message:
        "Write the report"
    shell:
        "env PYTHONPATH=src python workflow/scripts/report.py --results {params.results}"
        " --out {output.page} --log {log}"
