# Snakemake and DVC share results/: what one engine does, the other learns.

GUARD = Guard(ALONE)
try:
    GUARD.settle()
except RepriseError as error:
    refuse(error)


onstart:
    try:
        GUARD.hold()
    except RepriseError as error:
        refuse(error)


onsuccess:
    GUARD.tell()


onerror:
    GUARD.tell()
