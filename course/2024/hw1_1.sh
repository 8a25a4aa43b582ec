#!/bin/sh
# Office-Home, setting C. $1: csv of image names, $2: their folder, $3: csv to write
exec "$(dirname "$0")/../predict" finetune/dlcv2024/C/0 --header filename,label \
    --csv "$1" --images "$2" --out "$3"
