rule finetune:
    input:
        unpack(dataset_input("finetune")),
        backbone=backbone,
        code="workflow/code/finetune/{task}/{run}.sha256",
    output:
        model="results/finetune/{task}/{run}/{seed}/model.safetensors",
        features="results/finetune/{task}/{run}/{seed}/features.safetensors",
        history="results/finetune/{task}/{run}/{seed}/history.csv",
        predictions="results/finetune/{task}/{run}/{seed}/predictions.csv",
    log:
        "logs/finetune/{task}/{run}/{seed}.log",
    wildcard_constraints:
        task=names_in("finetune"),
    threads: for_processes("finetune", PARAMS.runtime.threads)
    resources:
        mem_mb=for_training("finetune", "mem_mb"),
        runtime=for_training("finetune", "runtime"),
        gpu=gpu_of("finetune"),
    params:
        task="{task}",
        run="{run}",
        seed="{seed}",
        data=subpath(input.images, parent=True),
        backbone=lambda _, input: f" --backbone {input.backbone}" if input.backbone else "",
        out=subpath(output.history, parent=True),
        params_keys=config_values(
            "finetune.{task}.common", "finetune.{task}.recipes.{run}", "runtime"
        ),
    message:
        "Fine-tune {wildcards.task}: run {wildcards.run}, seed {wildcards.seed}"
    shell:
        "env PYTHONPATH=src python workflow/scripts/finetune.py --task {params.task}"
        " --run {params.run} --seed {params.seed} --data {params.data}{params.backbone}"
        " --out {params.out} --log {log}"
