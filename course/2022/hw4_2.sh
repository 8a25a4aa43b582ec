#!/bin/sh
# Office-Home, setting C. $1: csv of image names, $2: their folder, $3: csv to write
exec "$(dirname "$0")/../predict" finetune/dlcv2023/C/0 \
    --csv "$1" --images "$2" --out "$3"
