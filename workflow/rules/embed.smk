rule embed:
    input:
        script="workflow/scripts/embed.py",
        code=closure("embed"),
        features=embedded_features,
    output:
        points="results/embed/{source}/{method}.csv",
        layout="results/embed/{source}/{method}.layout.csv",
    log:
        "logs/embed/{source}/{method}.log",
    benchmark:
        "logs/benchmark/embed/{source}/{method}.tsv"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        source="{source}",
        method="{method}",
        reads=values("embed.points", "embed.components", "embed.perplexity", "embed.seed"),
    shell:
        "PYTHONPATH=src python {input.script} --source {params.source} --method {params.method}"
        " --features {input.features} --out {output.points} --log {log}"
