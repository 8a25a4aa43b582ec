#!/bin/sh
# Land cover. $1: folder of xxxx.jpg, $2: output folder for xxxx.png
exec "$(dirname "$0")/../predict" segment/dlcv2022/deeplabv3/0 --mask "{}.png" \
    --images "$1" --out "$2"
