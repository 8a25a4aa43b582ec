rule evaluate:
    input:
        script="workflow/scripts/evaluate.py",
        code=closure("evaluate"),
        reported=expand("workflow/reported/{name}.csv", name=["numbers", "others"]),
        sets=[prepared(part, "labels.npy", "index.csv", "dataset.json") for part in PARTS],
        histories=[of_jobs(part, "history.csv") for part in PARTS],
        finetune=of_jobs("finetune", "predictions.csv"),
        classify=of_jobs("classify", "predictions.csv"),
        faces=of_jobs("faces", "predictions.csv"),
        segment=of_jobs("segment", "predictions"),
        street=of_jobs("street", "predictions"),
    output:
        metrics="results/metrics.json",
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
    log:
        "logs/evaluate.log",
    benchmark:
        "logs/benchmark/evaluate.tsv"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        results=subpath(output.metrics, parent=True),
        reads=values("prepare", *PARTS),
    shell:
        "PYTHONPATH=src python {input.script} --results {params.results} --log {log}"
