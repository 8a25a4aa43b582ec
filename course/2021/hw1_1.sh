#!/bin/sh
# 50 classes. $1: folder of images, $2: CSV file to write
exec "$(dirname "$0")/../predict" classify/dlcv2021/resnet101/0 --header "image_id, label" \
    --images "$1" --out "$2"
