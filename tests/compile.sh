# compile.sh - for setup and tests/full, which source it in the root of the repository: building into build/.
build=$PWD/build

# compile FOLDER [MESON-OPTION...]: configure build/FOLDER if it is not, then build all of it. Quiet unless it
# fails; all that was said is in build/FOLDER.log. CC names the compiler.
compile() {
    folder=$build/$1
    shift
    if [ ! -f "$folder/build.ninja" ] || [ "$(cat "$folder/made-for" 2>/dev/null)" != "$folder $*" ]; then
        rm -rf "$folder"                # new, moved, or of other options
        meson setup "$folder" "$@" >"$folder.log" 2>&1 || { tail -n 5 "$folder.log" >&2; return 1; }
        echo "$folder $*" >"$folder/made-for"
    fi
    ninja -C "$folder" >"$folder.log" 2>&1 ||
        { grep -E -A 5 'error:|ERROR|FAILED' "$folder.log" | head -n 40 >&2; return 1; }
}
