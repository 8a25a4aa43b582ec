rule digests:
    input:
        script="workflow/scripts/digests.py",
        code=closure("digests"),
        # the digests of these are taken too
        scripts=[f"workflow/scripts/{name}.py" for name in TRAININGS],
        sources=[closure(name) for name in TRAININGS],
        sets=[prepared(part) for part in PARTS],
        histories=[of_jobs(part, "history.csv") for part in PARTS],
        backbones=of_jobs("pretrain", "backbone.safetensors"),
        models=[of_jobs(part, "model.safetensors") for part in SCORED],
        predictions=[
            of_jobs(part, "predictions.csv" if part in CLASSES else "predictions")
            for part in SCORED
        ],
    output:
        table="results/digests.csv",
    log:
        "logs/digests.log",
    benchmark:
        "logs/benchmark/digests.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        results=subpath(output.table, parent=True),
        reads=values(*PARTS),
    shell:
        "PYTHONPATH=src python {input.script} --results {params.results} --out {output.table}"
        " --log {log}"
