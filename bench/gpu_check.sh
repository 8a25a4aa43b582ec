#!/usr/bin/env bash
# Tests, speed and repeatability on a GPU, in less than nine minutes.
#
#   bench/gpu_check.sh [--cpu] [--out FOLDER] [--wheels FOLDER] [--only PART[,PART...]]
#   bench/gpu_check.sh --collect FOLDER
#
# Parts: environment, tests, rates, byol, frozen, deeplab, fcn32s, resnext101, augmentation, bytes,
# cpu_and_gpu. Each is a separate process with a time limit. Results are written as they come, to
# FOLDER/gpu-check.json and FOLDER/benchmarks-gpu.md (FOLDER: logs/gpu). If a part fails, the others
# still run, and the exit status is 1. Images are random pixels.
#
#   --cpu      tries every part with tiny sizes on CPU, with meaningless numbers
#   --only     runs these parts again and keeps the results of the others
#   --collect  downloads wheels, where there is a network, for Python 3.12 on x86-64 Linux
#   --wheels   installs missing packages from them, without a network, into a temporary folder
#
# The machine needs bash, coreutils, and a Python (python3, or $PYTHON) of 3.11 or later with torch
# 2.11 or later and its torchvision. Training also imports numpy, pandas, Pillow, pydantic, PyYAML,
# ruamel.yaml, safetensors and tqdm, and the tests pytest: bench/gpu/needs.py lists them with their
# dependencies.
set -u
cd "$(dirname "$0")/.." || exit 1
PYTHON=${PYTHON:-python3}
OUT=logs/gpu WHEELS="" ONLY="" CPU=()

fail() { echo "gpu_check: $1" >&2; exit 1; }
usage() { sed -n '2,/^set -u/{/^set -u/d;s/^# \{0,1\}//;p}' "bench/gpu_check.sh"; }

while (($#)); do
    case $1 in
        --cpu) CPU=(--cpu) ;;
        --help | -h) usage; exit 0 ;;
        --out | --wheels | --only | --collect)
            (($# > 1)) || fail "$1 needs a value; see --help"
            case $1 in
                --out) OUT=$2 ;;
                --wheels) WHEELS=$2 ;;
                --only) ONLY=$2 ;;
                --collect) exec "$PYTHON" bench/gpu/needs.py --collect "$2" ;;
            esac
            shift ;;
        *) fail "unknown option $1; see --help" ;;
    esac
    shift
done

TARGET=$(mktemp -d) || fail "no temporary folder"
trap 'rm -rf "$TARGET"' EXIT
"$PYTHON" bench/gpu/needs.py ${WHEELS:+--wheels "$WHEELS" --into "$TARGET"} || exit 1
export PYTHONPATH="$TARGET:$PWD/src:$PWD${PYTHONPATH:+:$PYTHONPATH}"
export CUBLAS_WORKSPACE_CONFIG=:4096:8
if ((!${#CPU[@]})); then
    "$PYTHON" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' ||
        fail "no GPU is visible, and nothing was measured; --cpu tries the script"
fi

{ read -r MAX; mapfile -t PARTS; } < <("$PYTHON" -m bench.gpu --list)
((${#PARTS[@]})) || fail "no part to run"
for name in ${ONLY//,/ }; do
    [[ " ${PARTS[*]} " == *" $name "* ]] || fail "no part '$name'; see --help"
done
mkdir -p "$OUT" || fail "$OUT cannot be made"
[[ -n $ONLY ]] || rm -f "$OUT/gpu-check.json" "$OUT/benchmarks-gpu.md" "$OUT/gpu-check.log"
exit_status=0
for part in "${PARTS[@]}"; do
    name=${part% *} limit=${part#* }
    [[ -z $ONLY || ",$ONLY," == *",$name,"* ]] || continue
    left=$((MAX - SECONDS))
    ((left >= 5)) || { echo "== $name: no time left" | tee -a "$OUT/gpu-check.log"; exit_status=1; continue; }
    start=$SECONDS
    echo "== $name" | tee -a "$OUT/gpu-check.log"
    timeout --kill-after=5 "$((limit < left ? limit : left))" \
        "$PYTHON" -m bench.gpu "$name" --out "$OUT" "${CPU[@]}" 2>&1 | tee -a "$OUT/gpu-check.log"
    status=${PIPESTATUS[0]}
    "$PYTHON" -m bench.gpu "$name" --out "$OUT" --ended "$status" "$((SECONDS - start))"
    ((status == 0)) || exit_status=1
done
echo "== $OUT/gpu-check.json and $OUT/benchmarks-gpu.md after $SECONDS s"
exit "$exit_status"
