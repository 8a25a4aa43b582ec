rule anything:
    input:
        unpack(data_set("anything")),
        script="workflow/scripts/anything.py",
        code=closure("anything"),
    output:
        masks=directory("results/anything/{run}/masks"),
        outlines=directory("results/anything/{run}/outlines"),
        scores="results/anything/{run}/scores.csv",
    log:
        "logs/anything/{run}.log",
    benchmark:
        "logs/benchmark/anything/{run}.tsv"
    threads: config["runtime"]["threads"]
    resources:
        mem_mb=8000,
        runtime=60,
        gpu=GPU,
    params:
        run="{run}",
        data=subpath(input.images, parent=True),
        out=subpath(output.scores, parent=True),
        reads=values("anything.images", "anything.recipes.{run}", "runtime", "weights"),
    shell:
        "PYTHONPATH=src python {input.script} --run {params.run} --data {params.data}"
        " --out {params.out} --log {log}"
