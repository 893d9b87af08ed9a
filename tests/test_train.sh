#!/bin/sh
# test_train.sh - `dlc train`: what it writes and prints, resuming bit for bit, interrupts, kill -9 at every write, sync and
# rename, a full disk, bad input. Uses DLC (default build/dlc), CC, python3 (no packages). Reports as tests/run.py reads.
. "$(dirname -- "$0")/lib.sh"
cd "$tmp" || exit 1
unset DLC_FAULT
limit="timeout 60"
tool() { python3 "$root/tests/py/train_tools.py" "$@"; }
same() { tool same "$1" "$2"; }

cat >net.dl <<'END'
dl 1
# Three classes in four numbers, with noise on the way (random draws), momentum and a rate that the host steers.
module Host(start) { state rate = full(f32[], start) }
host = Host(0.1)
module Net() {
    l1 = Linear(4, 8)
    l2 = Linear(8, 3)
    fn forward(x: f32[B, 4]) -> f32[B, 3] {
        h = relu(l1(x))
        if training { h = h + 0.1 * normal(f32[B, 8]) }
        return l2(h)
    }
}
net = Net()
module Momentum(net: module, lr) {
    state velocity = map(zeros_like, params(net))
    fn update(grads) {
        for p, g, v in leaves(params(net), grads, velocity) {
            v := 0.9 * v + g
            p := p - lr * v
        }
    }
}
opt = Momentum(net, host.rate)
export fn infer(x: f32[B, 4]) -> (prob: f32[B, 3]) = softmax(net(x))
export train fn step(x: f32[B, 4], y: i32[B]) -> (loss: f32, accuracy: f32) {
    logits = net(x)
    loss = cross_entropy(logits, y)
    opt.update(grad(loss, net))
    return loss, accuracy(logits, y)
}
export fn evaluate(x: f32[B, 4], y: i32[B]) -> (loss: f32, accuracy: f32, wrong: i32, confusion: f32[3, 3]) {
    logits = net(x)
    said = one_hot(argmax(logits, axis = -1), 3)
    truth = one_hot(y, 3)
    hits = truth' @ said
    return cross_entropy(logits, y), accuracy(logits, y), i32(sum(truth) - sum(truth * said)), hits
}
END
tool data data.st 90 || exit 1
# In its folder $1: a short training run, with more options.
train() {
    folder=$1
    shift
    mkdir -p "$folder"
    (cd "$folder" && $limit "$dlc" train ../net.dl x=../data.st:x y=../data.st:y --batch 16 --validation 0.2 "$@")
}

# ---- what it prints and writes

plain() { train plain --epochs 3 --log m.csv --jsonl m.jsonl --svg m.svg --tensorboard events --plot; }
try "a run" 0 'net: 3 epochs, 15 steps, .*best val_loss [0-9.]+ in epoch [123]; net.safetensors' plain
cp log plain.log
report "one line an epoch" test "$(grep -c '^epoch [123]/3  step [0-9]*  .* loss [0-9.]*  accuracy .* val_loss .* val_wrong [0-9]*' plain.log)" = 3
report "no bar in a pipe" test -z "$(tr -d '\n[:print:]' <plain.log | LC_ALL=C tr -d '\200-\377')"
report "a matrix of validation adds up" test "$(sed -n '/^confusion/,/^net:/p' plain.log | awk 'NF == 3 && !/[a-z]/ { for (i = 1; i <= 3; i++) n += $i } END { print n }')" = 18
report "curves in the terminal" grep -q 'accuracy: .*training,  o validation' plain.log
report "CSV: a header and 3 rows of as many columns" sh -c '[ "$(head -n 1 plain/m.csv)" = epoch,step,examples,seconds,examples_per_second,loss,accuracy,val_loss,val_accuracy,val_wrong ] && [ "$(awk -F, "NF == 10" plain/m.csv | wc -l)" = 4 ]'
lines() { python3 -c 'import json, sys; n = [json.loads(x) for x in open(sys.argv[1])]; assert [x["epoch"] for x in n] == [1, 2, 3] and n[2]["step"] == 15 and 0 < n[2]["val_loss"] < 2' "$1"; }
report "JSON lines" lines plain/m.jsonl
report "SVG is XML with labelled axes and a legend" python3 -c '
import sys, xml.etree.ElementTree as tree
texts = [e.text for e in tree.parse("plain/m.svg").iter("{http://www.w3.org/2000/svg}text")]
assert texts.count("epoch") == 3 and "loss" in texts and "training" in texts and "validation" in texts, texts'
events() {
    python3 "$root/tests/py/read_events.py" plain/events/* >events.txt && [ "$(grep -c '^15 ' events.txt)" = 6 ] &&
        grep -q '^5 train/loss [0-9]' events.txt && grep -q '^10 validation/accuracy [0-9]' events.txt
}
report "TensorBoard's files" events
report "weights are the params alone" python3 -c '
import json, struct
def names(path):
    data = open(path, "rb").read()
    return set(json.loads(data[8:8 + struct.unpack("<Q", data[:8])[0]])) - {"__metadata__"}
params = {f"net.l{i}.{p}" for i in (1, 2) for p in ("weight", "bias")}
assert names("plain/net.safetensors") == params, names("plain/net.safetensors")
assert len(names("plain/net.checkpoint.safetensors")) == 2 * len(params) + 1'
report "they load" "$dlc" run net.dl --fn infer --weights plain/net.safetensors x=data.st:x
result_json() { train json --epochs 2 --json >json.txt && [ "$(wc -l <json.txt)" = 3 ] && tail -n 1 json.txt >last.json && is_json last.json && grep -q '"end": "done"' last.json; }
report "--json: a line an epoch and the result" result_json
quiet() { train quiet --epochs 1 -q >quiet.txt 2>&1 && [ ! -s quiet.txt ]; }
report "--quiet prints nothing" quiet
try "--help" 0 '^      --resume .*go on from the checkpoint' "$dlc" train --help
report "nothing but what was asked for is written" test "$(ls json | tr '\n' ' ')" = "net.checkpoint.safetensors net.safetensors "

on_terminal() {         # SETTING: the bar, the curves at the end, and colour unless NO_COLOR is set
    mkdir -p terminal
    (cd terminal && env "$1" LC_ALL=C.UTF-8 python3 "$root/tests/py/train_tools.py" terminal "$dlc" train ../net.dl x=../data.st:x y=../data.st:y --batch 16 --validation 0.2 --epochs 200) >terminal.txt || return 1
    esc=$(printf '\033')
    grep -q "epoch [0-9]*/200 \[=*>* *\] [0-9]*/[0-9].*$esc\[K" terminal.txt && grep -q 'loss: .* training,  o validation' terminal.txt || return 1
    if [ "$1" = NO_COLOR=1 ]; then ! grep -q "$esc\[1m" terminal.txt; else grep -q "$esc\[1mval_loss" terminal.txt; fi
}
report "a terminal: a bar, curves, colour" on_terminal NO_COLOR=
report "... without colour where NO_COLOR is set" on_terminal NO_COLOR=1

# ---- the same bits

again() { train "$@" >/dev/null && same plain/net.checkpoint.safetensors "$1/net.checkpoint.safetensors" && cmp plain/net.safetensors "$1/net.safetensors"; }
report "the same seed, the same bits" again again --epochs 3
report "... on one thread" again one --epochs 3 --threads 1
other() { train other --epochs 3 --seed 1 -q && ! same plain/net.checkpoint.safetensors other/net.checkpoint.safetensors; }
report "another seed, other bits" other
resumed() { train resumed --epochs 1 -q && train resumed --epochs 2 -q --resume && again resumed --epochs 3 --resume; }
report "resumed after each epoch" resumed
every_same() {
    every whole --epochs 3 && every parts --steps 3 && every parts --steps 7 --resume && every parts --steps 14 --resume &&
        every parts --epochs 3 --resume && same whole/net.checkpoint.safetensors parts/net.checkpoint.safetensors
}
every() { folder=$1; shift; train "$folder" --every 4 --log m.csv -q "$@"; }
report "--every: resumed in the middle of an epoch" every_same
report "... a row every 4 steps and at the end" test "$(cut -d, -f 2 whole/m.csv | tr '\n' ' ')" = "step 4 8 12 15 "
nothing_left() { cp -r resumed left && train left --epochs 3 --resume >left.txt && grep -q 'net: 3 epochs, 15 steps' left.txt && cmp resumed/net.checkpoint.safetensors left/net.checkpoint.safetensors; }
report "resumed at its end, it changes nothing" nothing_left

# ---- interrupts

signalled() {
    rm -rf int ref
    mkdir int
    (cd int && tool interrupt "$1" '^epoch +3/' "$dlc" train ../net.dl x=../data.st:x y=../data.st:y --batch 16 --validation 0.2 --epochs 200000 >said 2>&1)
    code=$?
    [ $code = 130 ] || { echo "exit code $code"; cat int/said; return 1; }
    grep -q 'interrupted in epoch .*net.checkpoint.safetensors has everything, and --resume goes on' int/said || { cat int/said; return 1; }
    epochs=$(sed -n 's/^interrupted in epoch \([0-9]*\),.*/\1/p' int/said)
    train int --epochs $((epochs + 1)) -q --resume && train ref --epochs $((epochs + 1)) -q && same int/net.checkpoint.safetensors ref/net.checkpoint.safetensors &&
        cmp int/net.safetensors ref/net.safetensors
}
report "Ctrl-C saves, exits with 130, and resumes to the same bits" signalled SIGINT
report "so does SIGTERM" signalled SIGTERM

# ---- kill -9, a full disk

if ${CC:-cc} -shared -fPIC -D_GNU_SOURCE "$root/tests/crash_shim.c" -o shim.so -ldl >/dev/null 2>&1; then
    faulty() {          # FAULT FOLDER OPTIONS
        DLC_FAULT=$1 folder=$2
        shift 2
        mkdir -p "$folder"
        (export DLC_FAULT LD_PRELOAD="$tmp/shim.so"; cd "$folder" && exec "$dlc" train ../net.dl x=../data.st:x y=../data.st:y --batch 16 --validation 0.2 "$@")
    }
    # One epoch writes the weights and twice the checkpoint. Killed at any of its writes, syncs and renames, the run comes
    # to the same end: from the checkpoint where there is one.
    killed() {
        train two --epochs 2 -q
        for n in $(seq 1 80); do
            rm -rf kill
            faulty "kill:$n" kill --epochs 1 -q 2>/dev/null && break
            resume=
            [ ! -f kill/net.checkpoint.safetensors ] || resume=--resume
            train kill --epochs 2 -q $resume && same two/net.checkpoint.safetensors kill/net.checkpoint.safetensors && cmp two/net.safetensors kill/net.safetensors &&
                [ "$(ls kill | wc -l)" = 2 ] || { echo "killed at event $n"; ls kill; return 1; }
        done
        [ "$n" -gt 20 ] && [ "$n" -lt 80 ] || { echo "$n events"; return 1; }
    }
    report "killed at every write, sync and rename" killed
    cp -r two full
    full() {
        for n in 1 3 9 14 20; do
            faulty "full:$n" full --epochs 3 -q --resume >full.txt 2>&1
            [ $? = 1 ] && grep -q 'cannot write .*No space left' full.txt && [ "$(ls full | wc -l)" = 2 ] || { echo "full from event $n"; cat full.txt; return 1; }
            cp two/* full/
        done
        faulty "full:1" full --epochs 3 -q --resume >/dev/null 2>&1
        same two/net.checkpoint.safetensors full/net.checkpoint.safetensors && cmp two/net.safetensors full/net.safetensors || { echo "lost"; return 1; }
        train full --epochs 3 -q --resume && same plain/net.checkpoint.safetensors full/net.checkpoint.safetensors
    }
    report "a full disk: said, nothing lost, and resumed" full
    once() { faulty "once:2" once --epochs 3 -q 2>once.txt && grep -q 'training goes on' once.txt && same plain/net.checkpoint.safetensors once/net.checkpoint.safetensors; }
    report "a disk that was full for a moment: training goes on" once
else
    skip "kill -9 and a full disk" "no shared library can be made here"
fi
cp -r resumed lost
try "a folder that is gone" 1 'cannot write nowhere/' train lost --epochs 1 --checkpoint nowhere/c.safetensors

# ---- bad input

bad() { $limit "$dlc" train net.dl --batch 16 --epochs 2 -o bad.safetensors "$@"; }
try "a label out of range" 1 'data.st:bad: element 5 is 3, and y takes values from 0 to 2' bad x=data.st:x y=data.st:bad
try "... in validation" 1 'validation: data.st:bad: element 5 is 3' bad x=data.st:x y=data.st:y --validate x=data.st:x --validate y=data.st:bad
try "a step that is not finite is skipped, and named" 0 'step [0-9]+ is skipped: step: .* is not finite; nothing was changed' bad x=data.st:huge y=data.st:y
try "... and counted" 0 '12 steps .2 skipped.' bad x=data.st:huge y=data.st:y
try "... too many in a row end it" 1 '1 steps in a row were not finite' bad x=data.st:huge y=data.st:y --max-skips 1
try "a data file that is not there" 1 'nowhere.st' bad x=nowhere.st y=data.st:y
try "an input without data" 1 'y' bad x=data.st:x
try "weights over the data" 1 'data.safetensors is written, but it is also data to read' sh -c "cp data.st data.safetensors; '$dlc' train net.dl x=data.safetensors:x y=data.st:y -o data.safetensors"
try "weights of another name" 1 'weights are .safetensors files' bad x=data.st:x y=data.st:y -o net.dl
try "no training step" 1 'has no `export train fn`' sh -c "printf 'export fn f(x: f32[B]) -> f32 = sum(x)\n' >no.dl; '$dlc' train no.dl x=data.st:x"
# Several steps: `step`, or the one named.
{ cat net.dl; echo 'export train fn other(x: f32[B, 4], y: i32[B]) -> (other_loss: f32) { l = cross_entropy(net(x), y); opt.update(grad(l, net)); return l }'; } >two.dl
two() { "$dlc" train "$1" x=data.st:x y=data.st:y --epochs 1; }
try "of several training steps, step" 0 ' loss [0-9]' two two.dl
try "... or the one that is named" 0 ' other_loss [0-9]' "$dlc" train two.dl x=data.st:x y=data.st:y --epochs 1 --step other
sed 's/train fn step/train fn first/' two.dl >none.dl
try "... or a question" 1 'which training step. --step NAME; there are: first, other' two none.dl
try "a step that changes nothing" 1 'infer changes no param' bad x=data.st:x --step infer
try "an unknown metric" 1 "no metric 'val_acuracy' to monitor; did you mean 'val_accuracy'" train bad --monitor val_acuracy
try "no data" 2 'which data' "$dlc" train net.dl
try "an unknown dim" 1 "no dim 'T'" bad x=data.st:x y=data.st:y --dim T=4

# ---- weights, states, stopping early

partial() {
    sed 's/Linear(8, 3)/Linear(8, 5)/; s/f32\[B, 3\]/f32[B, 5]/g; s/, 3)/, 5)/g; s/f32\[3, 3\]/f32[5, 5]/; s/l2 /head /; s/l2(/head(/' net.dl >wide.dl
    $limit "$dlc" train wide.dl x=data.st:x y=data.st:y --epochs 1 --weights plain/net.safetensors --partial -o wide.safetensors
}
try "transfer: what matched and what did not" 0 'net.safetensors: 2 loaded; .*start anew: .*net.head.weight.*; 2 not in the model: net.l2' partial
try "... without --partial" 1 'lacks' "$dlc" train wide.dl x=data.st:x y=data.st:y --weights plain/net.safetensors -o wide.safetensors
frozen() { train frozen --epochs 2 --set-state host.rate=0 -q && train frozen2 --epochs 1 --set-state host.rate=0 -q && cmp frozen/net.safetensors frozen2/net.safetensors; }
report "--set-state: a rate of 0 learns nothing" frozen
try "an unknown state" 1 "no state 'host.rat'; did you mean 'host.rate'" train bad --set-state host.rat=1
plateau() { train plateau --epochs 5 --set-state host.rate=0.0 --plateau host.rate=0.5,2 --monitor val_loss:min; }
try "--plateau lowers a rate" 0 'val_loss was not better for 2 periods: host.rate is now 0, before 0' plateau
early() { train early --epochs 50 --set-state host.rate=0.0 --patience 3; }
try "--patience stops early" 0 'net: 4 epochs, .*stopped early' early

# ---- checkpoints that are not what they should be

try "no checkpoint" 1 'cannot open net.checkpoint.safetensors' train none --resume
try "weights are no checkpoint" 1 'no checkpoint of a training run' train plain --resume --checkpoint net.safetensors -o o.safetensors
try "other options are named" 1 'another run: --batch was 16, now 8; --seed was 0, now 2 ' train plain --resume --batch 8 --seed 2
try "--force goes on all the same" 0 'resumed all the same: --batch was 16, now 8' train left --resume --epochs 4 --batch 8 --force
mutants() {
    mkdir mutants && tool mutants plain/net.checkpoint.safetensors mutants "$1" || return 1
    for i in $(seq 0 $(($1 - 1))); do
        (cd mutants && $limit "$dlc" train ../net.dl x=../data.st:x y=../data.st:y --batch 16 --validation 0.2 --epochs 3 -O0 -q --force --resume --checkpoint $i.safetensors -o w.safetensors) >mutant.txt 2>&1
        code=$?
        [ $code = 0 ] || { [ $code = 1 ] && grep -q error mutant.txt; } || { echo "mutant $i: exit code $code"; cat mutant.txt; return 1; }
    done
}
report "damaged checkpoints: refused or resumed, never a crash" mutants "${MUTANTS:-24}"
exit $failed
