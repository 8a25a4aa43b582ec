rule checksums:
    input:
        code="workflow/code/checksums.sha256",
        datasets=datasets_of(),
        histories=job_outputs("history.csv"),
        backbones=job_outputs("backbone.safetensors", "pretrain"),
        models=job_outputs("model.safetensors", *CLASSIFYING, "segment"),
        predictions=job_outputs("predictions.csv", *CLASSIFYING),
        masks=job_outputs("predictions", "segment"),
    output:
        table="results/checksums.csv",
    log:
        "logs/checksums.log",
    threads: 1
    resources:
        mem_mb=for_all_jobs("mem_mb"),
        runtime=for_all_jobs("runtime"),
    params:
        results=subpath(output.table, parent=True),
        params_keys=config_values(*axis_keys()),
    message:
        "Compute the checksums of all results"
    shell:
        "env PYTHONPATH=src python workflow/scripts/checksums.py --results {params.results}"
        " --out {output.table} --log {log}"
