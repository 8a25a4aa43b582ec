rule segment:
    input:
        unpack(dataset_input("segment")),
        code="workflow/code/segment/{task}/{run}.sha256",
    output:
        model="results/segment/{task}/{run}/{seed}/model.safetensors",
        history="results/segment/{task}/{run}/{seed}/history.csv",
        predictions=directory("results/segment/{task}/{run}/{seed}/predictions"),
        masks=directory("results/segment/{task}/{run}/{seed}/masks"),
    log:
        "logs/segment/{task}/{run}/{seed}.log",
    wildcard_constraints:
        task=names_in("segment"),
    # long jobs first, so that none is left alone at the end
    priority: 5
    threads: for_processes("segment", PARAMS.runtime.threads)
    resources:
        mem_mb=for_training("segment", "mem_mb"),
        runtime=for_training("segment", "runtime"),
        gpu=gpu_of("segment"),
    params:
        task="{task}",
        run="{run}",
        seed="{seed}",
        data=subpath(input.images, parent=True),
        out=subpath(output.history, parent=True),
        params_keys=config_values(
            "segment.{task}.images", "segment.{task}.recipes.{run}", "runtime", "weights"
        ),
    message:
        "Train {wildcards.task} to segment: run {wildcards.run}, seed {wildcards.seed}"
    shell:
        "env PYTHONPATH=src python workflow/scripts/segment.py --task {params.task}"
        " --run {params.run} --seed {params.seed} --data {params.data} --out {params.out}"
        " --log {log}"
