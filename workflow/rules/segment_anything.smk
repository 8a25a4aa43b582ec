# Nothing is trained: a published network finds masks, one job a run.
rule segment_anything:
    input:
        unpack(dataset_input("segment_anything")),
        code="workflow/code/segment_anything/{task}/{run}.sha256",
    output:
        masks=directory("results/segment_anything/{task}/{run}/masks"),
        outlines=directory("results/segment_anything/{task}/{run}/outlines"),
        scores="results/segment_anything/{task}/{run}/scores.csv",
    log:
        "logs/segment_anything/{task}/{run}.log",
    wildcard_constraints:
        task=names_in("segment_anything"),
    threads: PARAMS.runtime.threads
    resources:
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
        gpu=GPU,
    params:
        task="{task}",
        run="{run}",
        data=subpath(input.images, parent=True),
        out=subpath(output.scores, parent=True),
        params_keys=config_values(
            "segment_anything.{task}.images",
            "segment_anything.{task}.recipes.{run}",
            "runtime",
            "weights",
        ),
    message:
        "Find the masks of {wildcards.task}: run {wildcards.run}"
    shell:
        "env PYTHONPATH=src python workflow/scripts/segment_anything.py --task {params.task}"
        " --run {params.run} --data {params.data} --out {params.out} --log {log}"
