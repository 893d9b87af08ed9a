#!/bin/sh
# demo.sh - what `./setup demo` shows: models/digits.dl compiled and run on 450 real images by models/embed/demo.c.
# usage: models/demo.sh [DLC]       default $DLC, else build/dlc
set -eu
root=$(cd "$(dirname -- "$0")/.." && pwd)
dlc=${1:-${DLC:-$root/build/dlc}}
[ -x "$dlc" ] || { echo "demo: no $dlc: run ./setup build" >&2; exit 1; }
case $dlc in */*) dlc=$(cd "$(dirname -- "$dlc")" && pwd)/$(basename -- "$dlc") ;; esac
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

echo '$ dlc models/digits.dl -o digits.so'
begin=$(date +%s%N)
(cd "$root" && "$dlc" models/digits.dl -o "$tmp/digits.so") >"$tmp/compile" 2>&1 || { cat "$tmp/compile" >&2; exit 1; }
end=$(date +%s%N)
sed "s|$tmp/||g" "$tmp/compile"
echo '$ cc models/embed/demo.c ./digits.so -o demo && ./demo models/weights/digits.safetensors models/data/digits.safetensors'
cd "$tmp"
"${CC:-cc}" -O2 -I. "$root/models/embed/demo.c" ./digits.so -o demo
./demo "$root/models/weights/digits.safetensors" "$root/models/data/digits.safetensors"
echo "compile time  $(((end - begin + 500000) / 1000000)) ms"
echo "digits.so     $(wc -c <digits.so) bytes, without weights"
echo "ldd           $(ldd ./digits.so | sed 's/^[[:space:]]*//; s/ (0x.*//; s/ => .*//' | tr '\n' ' ')"
