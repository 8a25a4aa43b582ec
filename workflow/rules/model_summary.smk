# One job for all networks: DVC cannot name one value in all recipes, so a changed learning rate runs
# it again, in seconds and to the same bytes.
rule model_summary:
    input:
        code="workflow/code/model_summary.sha256",
        datasets=datasets_of(),
    output:
        networks=report(
            "results/tables/networks.csv",
            caption="../report/model_summary.rst",
            category="Tables",
            labels={"table": "networks"},
        ),
        layers=report(
            "results/tables/layers.csv",
            caption="../report/model_summary.rst",
            category="Tables",
            labels={"table": "layers"},
        ),
        md=expand("results/tables/{table}.md", table=["networks", "layers"]),
    log:
        "logs/model_summary.log",
    threads: 1
    resources:
        mem_mb=for_all_jobs("mem_mb"),
        runtime=for_all_jobs("runtime"),
    params:
        results=subpath(output.networks, ancestor=2),
        params_keys=config_values(*STAGES, "segment_anything"),
    message:
        "Count the parameters and multiply-adds of every network"
    shell:
        "env PYTHONPATH=src python workflow/scripts/model_summary.py --results {params.results}"
        " --log {log}"
