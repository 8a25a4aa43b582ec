rule finetune:
    input:
        unpack(data_set("finetune")),
        script="workflow/scripts/finetune.py",
        code=closure("finetune"),
        backbone=backbone,
    output:
        model="results/finetune/{run}/{setting}/{seed}/model.safetensors",
        features="results/finetune/{run}/{setting}/{seed}/features.safetensors",
        history="results/finetune/{run}/{setting}/{seed}/history.csv",
        predictions="results/finetune/{run}/{setting}/{seed}/predictions.csv",
    log:
        "logs/finetune/{run}/{setting}/{seed}.log",
    benchmark:
        "logs/benchmark/finetune/{run}/{setting}/{seed}.tsv"
    threads: config["runtime"]["threads"]
    resources:
        mem_mb=1500,
        runtime=30,
        gpu=GPU,
    params:
        run="{run}",
        setting="{setting}",
        seed="{seed}",
        data=subpath(input.images, parent=True),
        backbone=lambda _, input: f" --backbone {input.backbone}" if input.backbone else "",
        out=subpath(output.history, parent=True),
        reads=values("finetune.recipes.{run}.common", "finetune.recipes.{run}.{setting}", "runtime"),
    shell:
        "PYTHONPATH=src python {input.script} --run {params.run} --setting {params.setting}"
        " --seed {params.seed} --data {params.data}{params.backbone} --out {params.out} --log {log}"
