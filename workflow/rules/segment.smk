rule segment:
    input:
        unpack(data_set("segment")),
        script="workflow/scripts/segment.py",
        code=closure("segment"),
    output:
        model="results/segment/{run}/{seed}/model.safetensors",
        history="results/segment/{run}/{seed}/history.csv",
        predictions=directory("results/segment/{run}/{seed}/predictions"),
        masks=directory("results/segment/{run}/{seed}/masks"),
    log:
        "logs/segment/{run}/{seed}.log",
    benchmark:
        "logs/benchmark/segment/{run}/{seed}.tsv"
    # long jobs first, so that none is left alone at the end
    priority: 5
    threads: config["runtime"]["threads"]
    resources:
        mem_mb=2000,
        runtime=60,
        gpu=GPU,
    params:
        stage="segment",
        run="{run}",
        seed="{seed}",
        data=subpath(input.images, parent=True),
        out=subpath(output.history, parent=True),
        reads=values("segment.images", "segment.recipes.{run}", "runtime", "weights"),
    shell:
        "PYTHONPATH=src python {input.script} --stage {params.stage} --run {params.run}"
        " --seed {params.seed} --data {params.data} --out {params.out} --log {log}"


# the questions asked of street scenes, on another data set
use rule segment as street with:
    input:
        unpack(data_set("street")),
        script="workflow/scripts/segment.py",
        code=closure("segment"),
    output:
        model="results/street/{run}/{seed}/model.safetensors",
        history="results/street/{run}/{seed}/history.csv",
        predictions=directory("results/street/{run}/{seed}/predictions"),
        masks=directory("results/street/{run}/{seed}/masks"),
    log:
        "logs/street/{run}/{seed}.log",
    benchmark:
        "logs/benchmark/street/{run}/{seed}.tsv"
    params:
        stage="street",
        run="{run}",
        seed="{seed}",
        data=subpath(input.images, parent=True),
        out=subpath(output.history, parent=True),
        reads=values("street.images", "street.recipes.{run}", "runtime", "weights"),
