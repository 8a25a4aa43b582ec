rule embed:
    input:
        features=embedded_features,
        code="workflow/code/embed.sha256",
    output:
        points="results/embed/{name}/{method}.csv",
        layout="results/embed/{name}/{method}.layout.csv",
    log:
        "logs/embed/{name}/{method}.log",
    wildcard_constraints:
        name=names_in("embed"),
    threads: 1
    resources:
        mem_mb=for_all_jobs("mem_mb"),
        runtime=for_all_jobs("runtime"),
    params:
        name="{name}",
        method="{method}",
        params_keys=config_values("embed.{name}"),
    message:
        "Lay out the features of {wildcards.name} by {wildcards.method}"
    shell:
        "env PYTHONPATH=src python workflow/scripts/embed.py --name {params.name}"
        " --method {params.method} --features {input.features} --out {output.points} --log {log}"
