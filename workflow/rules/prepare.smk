rule prepare:
    input:
        code="workflow/code/prepare/{dataset}.sha256",
        packages="requirements/data.txt",
        glasses="data/orl_glasses.csv",
    output:
        images="results/prepare/{dataset}/images.npy",
        labels="results/prepare/{dataset}/labels.npy",
        index="results/prepare/{dataset}/index.csv",
        info="results/prepare/{dataset}/dataset.json",
    log:
        "logs/prepare/{dataset}.log",
    # everything waits for it
    priority: 20
    threads: 1
    resources:
        mem_mb=for_preparation("mem_mb"),
        runtime=for_preparation("runtime"),
    params:
        dataset="{dataset}",
        out=subpath(output.images, parent=True),
        params_keys=config_values("datasets.{dataset}"),
    message:
        "Prepare the dataset {wildcards.dataset}"
    shell:
        "env PYTHONPATH=src python workflow/scripts/prepare.py --dataset {params.dataset}"
        " --out {params.out} --log {log}"
