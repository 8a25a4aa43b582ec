rule pretrain:
    input:
        unpack(data_set("pretrain")),
        script="workflow/scripts/pretrain.py",
        code=closure("pretrain"),
    output:
        backbone="results/pretrain/{run}/{method}/backbone.safetensors",
        history="results/pretrain/{run}/{method}/history.csv",
    log:
        "logs/pretrain/{run}/{method}.log",
    benchmark:
        "logs/benchmark/pretrain/{run}/{method}.tsv"
    # fine-tuning waits for it
    priority: 10
    threads: config["runtime"]["threads"]
    resources:
        mem_mb=2000,
        runtime=60,
        gpu=GPU,
    params:
        run="{run}",
        method="{method}",
        data=subpath(input.images, parent=True),
        out=subpath(output.history, parent=True),
        reads=values("pretrain.recipes.{run}.{method}", "runtime", "weights"),
    shell:
        "PYTHONPATH=src python {input.script} --run {params.run} --method {params.method}"
        " --data {params.data} --out {params.out} --log {log}"
