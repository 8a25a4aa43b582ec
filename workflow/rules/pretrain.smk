rule pretrain:
    input:
        unpack(dataset_input("pretrain")),
        code="workflow/code/pretrain/{task}/{run}.sha256",
    output:
        backbone="results/pretrain/{task}/{run}/{seed}/backbone.safetensors",
        history="results/pretrain/{task}/{run}/{seed}/history.csv",
    log:
        "logs/pretrain/{task}/{run}/{seed}.log",
    wildcard_constraints:
        task=names_in("pretrain"),
    # fine-tuning waits for it
    priority: 10
    threads: for_processes("pretrain", PARAMS.runtime.threads)
    resources:
        mem_mb=for_training("pretrain", "mem_mb"),
        runtime=for_training("pretrain", "runtime"),
        gpu=gpu_of("pretrain"),
    params:
        task="{task}",
        run="{run}",
        seed="{seed}",
        data=subpath(input.images, parent=True),
        out=subpath(output.history, parent=True),
        params_keys=config_values("pretrain.{task}.recipes.{run}", "runtime", "weights"),
    message:
        "Pretrain {wildcards.task}: run {wildcards.run}, seed {wildcards.seed}"
    shell:
        "env PYTHONPATH=src python workflow/scripts/pretrain.py --task {params.task}"
        " --run {params.run} --seed {params.seed} --data {params.data} --out {params.out}"
        " --log {log}"
