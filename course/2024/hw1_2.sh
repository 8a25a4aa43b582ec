#!/bin/sh
# Land cover. $1: folder of xxxx_sat.jpg, $2: output folder for xxxx_mask.png
exec "$(dirname "$0")/../predict" segment/dlcv2024/unet/0 \
    --images "$1" --out "$2"
