# Snakemake and DVC share results/: what one engine does, the other learns.

from reprise.engines import code, slurm
from reprise.engines.snakemake_hooks import Hooks

try:
    hooks = Hooks(workflow)
    if hooks.on_slurm and hooks.purpose == "run":
        slurm.check(DEFAULTS, OVERWRITTEN, GPU)
        resources.check_gpus(PARAMS, OVERWRITTEN)
except RepriseError as error:
    fail(error)

if PLACEHOLDERS:

    # placeholders have no source files
    rule code:
        output:
            "workflow/code/{job}.sha256",

else:
    try:
        hooks.sync_before()
        if hooks.purpose != "job":
            code.write(PARAMS)
    except (RepriseError, OSError) as error:
        fail(error)


onstart:
    try:
        hooks.lock_results()
    except RepriseError as error:
        fail(error)


onsuccess:
    hooks.record_after()


onerror:
    hooks.explain_failure()
    hooks.record_after()
