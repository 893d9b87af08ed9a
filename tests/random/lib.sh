# lib.sh - for test_random.sh of each tier, which source it in the root of the repository.
. tests/compile.sh

program=$build/checked/tests/random     # what ./setup test builds
kept=$build/random-kept                 # where programs that fail are written, reduced
if [ ! -x "$program" ]; then
    echo "skip random programs: build/checked is not built (./setup test builds it)"
    exit
fi

# random OPTION...: some programs; those that fail end up in build/random-kept as IR text, to be moved to tests/random once fixed.
random() {
    mkdir -p "$kept"
    "$program" --jobs="$(nproc)" --keep="$kept" "$@"
}

# The kept programs, in every configuration that runs here.
random_corpus() {
    "$program" tests/random/*.ir
}
