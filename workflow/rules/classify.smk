rule classify:
    input:
        unpack(data_set("classify")),
        script="workflow/scripts/classify.py",
        code=closure("classify"),
    output:
        model="results/classify/{run}/{seed}/model.safetensors",
        features="results/classify/{run}/{seed}/features.safetensors",
        history="results/classify/{run}/{seed}/history.csv",
        predictions="results/classify/{run}/{seed}/predictions.csv",
    log:
        "logs/classify/{run}/{seed}.log",
    benchmark:
        "logs/benchmark/classify/{run}/{seed}.tsv"
    # long jobs first, so that none is left alone at the end
    priority: 5
    threads: config["runtime"]["threads"]
    resources:
        mem_mb=2000,
        runtime=60,
        gpu=GPU,
    params:
        stage="classify",
        run="{run}",
        seed="{seed}",
        data=subpath(input.images, parent=True),
        out=subpath(output.history, parent=True),
        reads=values("classify.recipes.{run}", "runtime", "weights"),
    shell:
        "PYTHONPATH=src python {input.script} --stage {params.stage} --run {params.run}"
        " --seed {params.seed} --data {params.data} --out {params.out} --log {log}"


# the same training on faces; what is not named here is that of `classify`
use rule classify as faces with:
    input:
        unpack(data_set("faces")),
        script="workflow/scripts/classify.py",
        code=closure("classify"),
    output:
        model="results/faces/{run}/{seed}/model.safetensors",
        features="results/faces/{run}/{seed}/features.safetensors",
        history="results/faces/{run}/{seed}/history.csv",
        predictions="results/faces/{run}/{seed}/predictions.csv",
    log:
        "logs/faces/{run}/{seed}.log",
    benchmark:
        "logs/benchmark/faces/{run}/{seed}.tsv"
    params:
        stage="faces",
        run="{run}",
        seed="{seed}",
        data=subpath(input.images, parent=True),
        out=subpath(output.history, parent=True),
        reads=values("faces.recipes.{run}", "runtime", "weights"),
