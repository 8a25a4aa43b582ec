# Snakemake and DVC share results/: what one engine does, the other learns.

from reprise.engines import code
from reprise.engines.snakemake_hooks import Hooks

# after a kill the same command continues, without a call of --unlock before it
hooks = Hooks()

if PLACEHOLDERS:

    # placeholders have no source files
    rule code:
        output:
            "workflow/code/{job}.sha256",

else:
    try:
        code.write(PARAMS)
        hooks.sync_before()
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
    hooks.record_after()
