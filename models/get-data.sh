#!/bin/sh
# get-data.sh - fetch the public data sets that examples, tests and benchmarks read, into $DLC_DATA.
#
# usage: models/get-data.sh [FOLDER...]     all of them, or some: mnist text tabular stories260K gpt2_tokenizer
#                                           mnist8_onnx images
#   DLC_DATA          where to: default ~/.cache/dlc/data
#   DLC_DATA_MIRROR   fetch MIRROR/PATH instead of the addresses of models/data/files.tsv (https://..., file:///...)
#   DLC_DATA_FILES    another table than models/data/files.tsv
#
# A file is fetched to PATH.part, goes on where an earlier run was cut off, is checked against its sha256, and only then
# takes its name; what is already there and right is not fetched again. 16 MiB in all. Exit 1 if a file is missing.
set -u
table=${DLC_DATA_FILES:-$(dirname -- "$0")/data/files.tsv}
data=${DLC_DATA:-${XDG_CACHE_HOME:-$HOME/.cache}/dlc/data}

sha256()        # of the file $1 as the table counts it: uncompressed where the name $2 ends in .gz
{
    case $2 in
    *.gz) gzip -dc <"$1" 2>/dev/null | sha256sum ;;
    *)    sha256sum <"$1" ;;
    esac | cut -d' ' -f1
}

fetch()         # address $1 to file $2, going on after what is there
{
    address=$(printf %s "$1" | sed 's/ /%20/g')
    if command -v curl >/dev/null; then
        curl --fail --location --silent --show-error --retry 3 --continue-at - --output "$2" -- "$address"
    else
        case $1 in
        file://*) cp -- "${1#file://}" "$2" ;;
        *)        wget --quiet --continue --tries=3 --output-document="$2" -- "$address" ;;
        esac
    fi
}

wanted()        # is path $1 in one of the folders asked for?
{
    [ -z "$folders" ] && return 0
    case " $folders " in *" ${1%%/*} "*) return 0 ;; esac
    return 1
}

folders=$*
[ -r "$table" ] || { echo "get-data: cannot read $table" >&2; exit 1; }
for folder in "$@"; do
    grep -q "^$folder/" "$table" || { echo "get-data: no folder '$folder' in $table" >&2; exit 2; }
done

failed=0
tab=$(printf '\t')
while IFS=$tab read -r path sum url; do
    case $path in ''|'#'*) continue ;; esac
    wanted "$path" || continue
    file=$data/$path
    if [ -f "$file" ] && [ "$(sha256 "$file" "$path")" = "$sum" ]; then
        echo "have     $path"
        continue
    fi
    [ -n "${DLC_DATA_MIRROR:-}" ] && url=${DLC_DATA_MIRROR%/}/$path
    mkdir -p "$(dirname -- "$file")" || exit 1
    # A part that is already whole (cut off just before its check) is not asked for again: servers refuse that.
    if [ -f "$file.part" ] && [ "$(sha256 "$file.part" "$path")" = "$sum" ]; then :
    elif ! fetch "$url" "$file.part"; then
        echo "FAILED   $path: cannot fetch $url" >&2
        failed=$((failed + 1))
        continue
    fi
    if [ "$(sha256 "$file.part" "$path")" != "$sum" ]; then
        rm -f "$file.part"
        echo "FAILED   $path: wrong checksum: $url is not the file expected" >&2
        failed=$((failed + 1))
        continue
    fi
    mv -f "$file.part" "$file" || exit 1
    echo "fetched  $path"
done <"$table"

[ $failed = 0 ] || { echo "get-data: $failed files are missing in $data" >&2; exit 1; }
echo "data in $data"
