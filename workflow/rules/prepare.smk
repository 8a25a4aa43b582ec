rule prepare:
    input:
        script="workflow/scripts/prepare.py",
        code=closure("prepare"),
        packages="requirements-data.txt",
        glasses="data/orl_glasses.csv",
    output:
        images="results/prepare/{set}/images.npy",
        labels="results/prepare/{set}/labels.npy",
        index="results/prepare/{set}/index.csv",
        about="results/prepare/{set}/dataset.json",
    log:
        "logs/prepare/{set}.log",
    benchmark:
        "logs/benchmark/prepare/{set}.tsv"
    # everything waits for it
    priority: 20
    threads: 1
    resources:
        mem_mb=1500,
        runtime=10,
    params:
        set="{set}",
        out=subpath(output.images, parent=True),
        reads=values("prepare.recipes.{set}"),
    shell:
        "PYTHONPATH=src python {input.script} --set {params.set} --out {params.out} --log {log}"
