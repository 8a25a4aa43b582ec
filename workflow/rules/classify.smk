rule classify:
    input:
        unpack(dataset_input("classify")),
        code="workflow/code/classify/{task}/{run}.sha256",
    output:
        model="results/classify/{task}/{run}/{seed}/model.safetensors",
        features="results/classify/{task}/{run}/{seed}/features.safetensors",
        history="results/classify/{task}/{run}/{seed}/history.csv",
        predictions="results/classify/{task}/{run}/{seed}/predictions.csv",
    log:
        "logs/classify/{task}/{run}/{seed}.log",
    wildcard_constraints:
        task=names_in("classify"),
    # long jobs first, so that none is left alone at the end
    priority: 5
    threads: for_processes("classify", PARAMS.runtime.threads)
    resources:
        mem_mb=for_training("classify", "mem_mb"),
        runtime=for_training("classify", "runtime"),
        gpu=gpu_of("classify"),
    params:
        task="{task}",
        run="{run}",
        seed="{seed}",
        data=subpath(input.images, parent=True),
        out=subpath(output.history, parent=True),
        params_keys=config_values("classify.{task}.recipes.{run}", "runtime", "weights"),
    message:
        "Train {wildcards.task} to classify: run {wildcards.run}, seed {wildcards.seed}"
    shell:
        "env PYTHONPATH=src python workflow/scripts/classify.py --task {params.task}"
        " --run {params.run} --seed {params.seed} --data {params.data} --out {params.out}"
        " --log {log}"
