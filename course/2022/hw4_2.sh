#!/bin/sh
# Office-Home, setting C. $1: CSV file with image names, $2: folder of the images, $3: CSV file to write
exec "$(dirname "$0")/../predict" finetune/dlcv2023/C/0 \
    --csv "$1" --images "$2" --out "$3"
