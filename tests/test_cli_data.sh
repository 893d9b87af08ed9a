#!/bin/sh
# test_cli_data.sh - data of every kind on the command line: tables, text, folders of images and archives, for `dlc run` and
# `dlc train`; what weights say of their training data is used by `dlc run`.
# Uses DLC (default build/dlc), python3 (no packages). Reports as tests/run.py reads.
. "$(dirname -- "$0")/lib.sh"
cd "$tmp" || exit 1

cat >sums.dl <<'DL'
export fn table(x: f32[B, N], y: i32[B]) -> (total: f32[N], ids: i32[B]) = sum(x, axis = 0), y + 0
export fn next(ids: i32[B, T], targets: i32[B, T]) -> (step: i32[B, T]) = targets - ids
export fn pictures(images: u8[B, 3, 2, 2], labels: i32[B]) -> (red: f32[B], ids: i32[B]) = f32(images[:, 0, 0, 0]), labels + 0
export fn one(n: i32[B]) -> (picked: i32[B]) = take(i32([5, 6, 7]), n)
DL
printf 'height,width,kind\n1,10,b\n2,20,a\n4,,b\n' >table.csv
printf 'abcabcabcab' >text.txt
mkdir -p photos/cat photos/dog
cp "$root/tests/fuzz/seeds/colours.png" photos/cat/1.png
cp "$root/tests/fuzz/seeds/colours.png" photos/dog/1.png
run() { "$dlc" run sums.dl --json "$@"; }

try "a table" 0 '"total":\[7.0,45.0\],"ids":\[1,0,1\]' run --fn table x=table.csv y=table.csv:kind
try "rows that miss a value" 0 '"total":\[3.0,3e\+01\],"ids":\[1,0\]' run --fn table x=table.csv:height+width,missing=drop y=table.csv:kind
try "a table, and a wrong column" 1 "no column 'knd'; did you mean 'kind'" run --fn table x=table.csv y=table.csv:knd
try "an index above the last, in a table" 1 "table.csv:4: 'height' is 4, and n takes whole numbers from 0 to 2" run --fn one n=table.csv:height
try "text and its next characters" 0 '"step":\[\[1,1,-2\],\[1,1,-2\],\[1,1,-2\]\]' run --fn next ids=text.txt,chars targets=@ids,shift=1 --dim T=3
try "text without a length" 1 'give --dim T=N' run --fn next ids=text.txt,chars targets=@ids,shift=1
missing_class() { mkdir photos/empty && run --fn pictures images=photos labels=photos; }
if run --fn pictures images=photos labels=photos >out 2>&1 || ! grep -q 'without PNG' out; then
    try "a folder of images" 0 '"red":\[255.0,255.0\],"ids":\[0,1\]' run --fn pictures images=photos labels=photos
    try "a class without images" 1 'empty: no PNG or JPEG images' missing_class
else
    echo "skip folders of images: dlc was built without libpng"
fi

# What the weights say of the training data: its means, its classes.
cat >flowers.dl <<'DL'
net = Linear(2, 3)
opt = SGD(net, lr = 0.1)
export fn infer(x: f32[B, 2]) -> (seen: f32[B, 2]) = x + 0 * sum(net.weight)
export fn target(y: i32[B]) -> (ids: i32[B]) = y + 0
export train fn step(x: f32[B, 2], y: i32[B]) -> (loss: f32) {
    loss = cross_entropy(net(x), y)
    opt.update(grad(loss, net))
    return loss
}
DL
printf 'a,b,kind\n1,10,iris\n3,10,rose\n1,30,iris\n3,30,violet\n' >flowers.csv
printf 'a,b,kind\n5,20,violet\n' >new.csv
printf 'a,b,kind\n5,20,tulip\n' >other.csv
try "training on a table" 0 'flowers' "$dlc" train flowers.dl --csv flowers.csv,normalize --target kind --epochs 2 -o weights.safetensors
known() { "$dlc" run flowers.dl --json --weights weights.safetensors "$@"; }
try "a row in the unit of the training data" 0 '"seen":\[\[3.0,0.0\]\]' known --fn infer x=new.csv:a+b
try "a class by its number in the training data" 0 '"ids":\[2\]' known --fn target y=new.csv:kind
try "a class that the training data had not" 1 "other.csv:2: 'tulip' in column 'kind' is not in the training data, which has iris, rose, violet" known --fn target y=other.csv:kind
exit $failed
