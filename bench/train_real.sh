#!/bin/sh
# train_real.sh - the models of models/ trained on real data, each scored on examples that it did not see; prints one line a
# run, with the command. About five minutes on two cores.
# usage: bench/train_real.sh [DLC]      default build/dlc; data from $DLC_DATA (models/get-data.sh)
set -eu
root=$(cd "$(dirname -- "$0")/.." && pwd)
dlc=${1:-${DLC:-$root/build/dlc}}
data=${DLC_DATA:-$HOME/.cache/dlc/data}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$root"

# Every fifth row of a table is kept out: NAME_train.csv and NAME_test.csv.
split() { awk -v out="$tmp/$1" 'NR == 1 { print > (out "_train.csv"); print > (out "_test.csv"); next } { print > (out (NR % 5 ? "_train.csv" : "_test.csv")) }' "$data/tabular/$1.csv"; }
# The last line of training (steps, time), and what a function gives on the test data.
train() { rm -f "$tmp/checkpoint.safetensors"; "$dlc" train "$@" --checkpoint "$tmp/checkpoint.safetensors" -o "$tmp/w.safetensors" | tail -n 1 | sed "s|; $tmp.*||"; }
test_of() { echo "    test $("$dlc" run "$@" --weights "$tmp/w.safetensors" | tr -s ' ' | tr '\n' ' ')"; }
heading() { printf '\n%s\n' "$*"; }

split penguins; split california_housing
mnist() { echo "$data/mnist/$1-$2-ubyte.gz"; }

heading "perceptron.dl: setosa against the others (iris.csv), 120 rows"
awk -F, -v OFS=, 'NR == 1 { print $1, $2, $3, $4, "y"; next } { print $1, $2, $3, $4, ($5 == "setosa") }' "$data/tabular/iris.csv" | awk 'NR == 1 || NR % 5' >"$tmp/two_train.csv"
awk -F, -v OFS=, 'NR == 1 { print $1, $2, $3, $4, "y"; next } { print $1, $2, $3, $4, ($5 == "setosa") }' "$data/tabular/iris.csv" | awk 'NR == 1 || !(NR % 5)' >"$tmp/two_test.csv"
train models/perceptron.dl --csv "$tmp/two_train.csv" --target y --epochs 20 --batch 8
test_of models/perceptron.dl --fn evaluate "x=$tmp/two_test.csv:*_*" "y=$tmp/two_test.csv:y"

heading "mlp.dl: iris, five times 120 rows, so that each of the 150 flowers is once among the unseen"
iris="models/mlp.dl --set features=4 --set hidden=8 --set classes=3 --set rate=2e-2"
for fold in 0 1 2 3 4; do
    awk -v k=$fold -v out="$tmp/fold" 'NR == 1 || NR % 5 != k { print > (out "_train.csv") } NR == 1 || NR % 5 == k { print > (out "_test.csv") }' "$data/tabular/iris.csv"
    train $iris --csv "$tmp/fold_train.csv",normalize --target species --epochs 60 --batch 32 >/dev/null
    test_of $iris --fn evaluate "x=$tmp/fold_test.csv" "y=$tmp/fold_test.csv:species"
done | awk '{ sum += $NF } END { printf "    test accuracy: mean of five %.4f\n", sum / NR }'

heading "mlp.dl: penguins, 275 rows with missing values and categories"
train models/mlp.dl --set features=9 --set hidden=32 --set classes=3 --csv "$tmp/penguins_train.csv",normalize --target species --epochs 40 --batch 16
test_of models/mlp.dl --set features=9 --set hidden=32 --set classes=3 --fn evaluate "x=$tmp/penguins_test.csv" "y=$tmp/penguins_test.csv:species"

heading "regression.dl: California housing, 16,512 rows; r2 is the share of the variance that is explained"
train models/regression.dl --set steps=12900 --csv "$tmp/california_housing_train.csv",normalize --target median_house_value,normalize --epochs 100 --batch 128
test_of models/regression.dl --fn score "x=$tmp/california_housing_test.csv" "y=$tmp/california_housing_test.csv:median_house_value"

heading "mlp.dl: MNIST"
train models/mlp.dl "x=$(mnist train images-idx3),scale=1/255" "y=$(mnist train labels-idx1)" --epochs 12 --batch 256 --validation 0.05 --monitor val_accuracy --plateau host.rate=0.2,1
test_of models/mlp.dl --fn evaluate "x=$(mnist t10k images-idx3),scale=1/255" "y=$(mnist t10k labels-idx1)"

heading "lenet.dl: MNIST, 10 epochs"
train models/lenet.dl "images=$(mnist train images-idx3)" "labels=$(mnist train labels-idx1)" --epochs 10
test_of models/lenet.dl --fn evaluate "images=$(mnist t10k images-idx3)" "labels=$(mnist t10k labels-idx1)"
