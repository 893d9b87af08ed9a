#!/bin/sh
# test_text.sh - tokenizers and generating text through the command: published encodings, round trips, damaged files; with
# DLC_DATA, GPT-2's files and the story that llama2.c's stories260K tells.
# Uses DLC (default build/dlc), PYTHON (default python3, with NumPy), DLC_DATA. Reports as tests/run.py reads.
. "$(dirname -- "$0")/lib.sh"
python=${PYTHON:-python3}
export PYTHONDONTWRITEBYTECODE=1
cd "$tmp" || exit 1

same() { printf '%s' "$1" >want; shift; "$@" >got </dev/null && printf '%s' "$(cat got)" >got.text && cmp want got.text; }
round_trip() { "$dlc" tokenize "$1" "$2" >ids && "$dlc" tokenize "$1" -d ids >back && cmp "$2" back; }

# ---- WordPiece: a vocabulary of our own
printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' want '##want' '##ed' wa un runn '##ing' , hello '!' cafe 你 好 a ' ' >vocab.txt
report "tokenize: WordPiece" same "8 5 6 11 9 10" "$dlc" tokenize vocab.txt --text "UNwanted, running"
report "tokenize: WordPiece, accents and CJK" same "14 13 15 16 12 1" "$dlc" tokenize vocab.txt --text "Café!你好 HeLLo nothing"
report "tokenize: WordPiece, case kept" same "1 12" "$dlc" tokenize vocab.txt --keep-case --text "Café hello"
report "tokenize: WordPiece, marks" same "2 12 3" "$dlc" tokenize vocab.txt --marks --text hello
report "tokenize: WordPiece, back" same "unwanted , running" "$dlc" tokenize vocab.txt -d --text "8 5 6 11 9 10"
report "tokenize: count" same 6 "$dlc" tokenize vocab.txt --count --text "unwanted, running"
report "tokenize: JSON" sh -c '"$1" tokenize vocab.txt --json --text "hello !" >j && grep -q "\"ids\":\[12,13\]" j && python3 -m json.tool j >k' sh "$dlc"
report "tokenize: JSON back" sh -c '"$1" tokenize vocab.txt -d --json --text "[12, 13]" >j && grep -q "\"text\":\"hello !\"" j' sh "$dlc"
report "tokenize: stdin" sh -c 'test "$(echo hello | "$1" tokenize vocab.txt)" = 12' sh "$dlc"
try "tokenize: help" 0 'usage: dlc tokenize TOKENIZER' "$dlc" tokenize --help
try "tokenize: no tokenizer" 2 'which tokenizer' "$dlc" tokenize
try "tokenize: a missing file" 1 'nowhere.bin' "$dlc" tokenize nowhere.bin --text x
try "tokenize: an id out of range" 1 'id 19 is none of the tokenizer.s: they are 0 to 18' "$dlc" tokenize vocab.txt -d --text "4 19"
try "tokenize: a negative id" 1 'id -1 is none' "$dlc" tokenize vocab.txt -d --text "-1"
try "tokenize: a huge id" 1 'is none of' "$dlc" tokenize vocab.txt -d --text 99999999999999999999
try "tokenize: no ids" 1 'no token id' "$dlc" tokenize vocab.txt -d --text "4 x"
try "tokenize: an empty folder" 1 'no tokenizer is in this folder' "$dlc" tokenize "$tmp/temporary" --text x

# ---- damaged files
printf 'one\ntwo\n' >no_unknown.txt
try "vocab.txt without [UNK]" 1 'no \[UNK\]' "$dlc" tokenize no_unknown.txt --text x
head -c 300 /dev/zero >zeros.bin
try "tokenizer.bin of zeros" 1 'zeros.bin: no tokenizer' "$dlc" tokenize zeros.bin --text x
printf '\007\0\0\0\0\0\0\0\377\377\377\177abc' >long.bin
try "tokenizer.bin with a length out of bounds" 1 'long.bin: .*token 0' "$dlc" tokenize long.bin --text x
mkdir bpe
for json in '{"a": 0, "b": 0}' '{"a": 0, "b": 2}' '{"a": -1}' '{"a": 1.5}' '["a"]' '{"a": 0' '{}' '{"a": 0} x' '{" ": 0}'; do
    printf '%s' "$json" >bpe/encoder.json
    printf '#version: 0.2\n' >bpe/vocab.bpe
    try "encoder.json: $json" 1 'encoder.json: ' "$dlc" tokenize bpe --text a
done
printf '{"a": 0, "b": 1, "ab": 2}' >bpe/encoder.json
for line in 'a' 'a c' 'b a' 'a b b' ' a' 'a '; do
    printf '#version: 0.2\na b\n%s\n' "$line" >bpe/vocab.bpe
    try "vocab.bpe: '$line'" 1 'vocab.bpe:3: ' "$dlc" tokenize bpe --text a
done
printf 'a b\n' >bpe/vocab.bpe
report "a small byte-pair vocabulary" same "2 0 2 1" "$dlc" tokenize bpe --text "abaabb"
try "a byte without a token" 1 'byte 2 of the text, 0x7a' "$dlc" tokenize bpe --text "abz"
rm bpe/vocab.bpe
try "merges are missing" 1 'neither vocab.bpe nor merges.txt' "$dlc" tokenize bpe --text a

# ---- generate: what goes wrong before a model is asked
try "generate: help" 0 'usage: dlc generate FILE.dl' "$dlc" generate --help
try "generate: no tokenizer" 2 'which tokenizer' "$dlc" generate "$root/models/llama.dl"
try "generate: a temperature that is none" 2 'temperature takes a number' "$dlc" generate "$root/models/llama.dl" --tokenizer vocab.txt --temperature warm
try "generate: top-p" 2 'top-p takes a number from 0 to 1' "$dlc" generate "$root/models/llama.dl" --tokenizer vocab.txt --top-p 1.5
try "generate: a model without the functions" 1 'exports no `append`' "$dlc" generate "$root/models/digits.dl" --tokenizer vocab.txt --prompt hello

# ---- a decoder of a few lines: after token t comes t + 1, and t + 2 is the next likeliest
cat >next.dl <<'DL'
dl 1
module Next() {
    state length = i32(0)
    state seen = zeros(i32[8])
    fn continued(ids: i32[1, T]) -> f32[1, 19] {
        seen := put(seen, ids[0], axis = 0, start = length)
        length := length + T
        return (-abs(iota(f32[19]) - f32(ids[0, -1]) - 1.25))[none]
    }
}
net = Next()
export fn restart() { reset(net) }
export fn append(ids: i32[1, T]) -> (logits: f32[1, 19]) with T <= 8 { return net.continued(ids) }
DL
next() { "$dlc" generate next.dl --tokenizer vocab.txt --only-new "$@" 2>said || { cat said; false; }; }
fails_with() { text=$1; shift; ! "$dlc" generate "$@" >got 2>said && grep -q -e "$text" said && [ ! -s got ]; }
report "generate: greedy" same "wanted wa un" next --prompt want --tokens 4
report "generate: what a stop text hides" same want next --prompt want --tokens 4 --stop ed
report "generate: a stop text over two tokens" same " un ru" next --prompt wa --tokens 4 --stop nning
draws() { next --prompt want --tokens 6 --temperature 3 --seed "$1" >"$2"; }
seeded() { draws 1 one && draws 1 two && cmp one two && draws 2 two && draws 3 three && ! { cmp -s one two && cmp -s one three; }; }
report "generate: equal seeds, equal texts" seeded
greedy_of_one() { next --prompt want --tokens 5 >one && next --prompt want --tokens 5 --temperature 9 --top-k 1 >two && next --prompt want --tokens 5 --temperature 9 --top-p 0 >three && cmp one two && cmp one three; }
report "generate: one to draw from" greedy_of_one
full() { next --prompt want --tokens 20 >got && grep -q 'holds no longer text' said && grep -q 'generated 7 tokens' said; }
report "generate: the cache is full" full
report "generate: JSON" sh -c '"$1" generate next.dl --tokenizer vocab.txt --prompt wa --tokens 2 --json >j && python3 -c "import json; r = json.load(open(\"j\")); assert r[\"ids\"] == [8, 9] and r[\"end\"] == \"tokens\" and r[\"prompt_tokens\"] == 2, r"' sh "$dlc"
report "generate: a prompt longer than the cache" fails_with "the prompt's 9 tokens do not fit" next.dl --tokenizer vocab.txt --prompt "a a a a a a a a"
head -n 18 vocab.txt >vocab18.txt; { cat vocab.txt; echo more; } >vocab20.txt
report "generate: a smaller vocabulary" sh -c '"$1" generate next.dl --tokenizer vocab18.txt --prompt wa --tokens 2 >got' sh "$dlc"
report "generate: a larger vocabulary" fails_with 'do not belong together' next.dl --tokenizer vocab20.txt --prompt wa
report "generate: other weights" fails_with 'zeros.bin' next.dl --tokenizer vocab.txt --prompt wa --weights zeros.bin
sed 's/ids: i32\[1, T\]) -> (logits: f32\[1, 19\])/ids: i32[2, T]) -> (logits: f32[2, 19])/; s/net.continued(ids) }/concat([net.continued(ids[:1]), net.continued(ids[1:])], axis = 0) }/' next.dl >two.dl
report "generate: append of another type" fails_with 'has another type' two.dl --tokenizer vocab.txt --prompt wa
report "generate: the first append alone copies nothing" sh -c '"$1" inspect next.dl --fn append --plan | grep -q ", 0 bytes of params copied"' sh "$dlc"

# ---- the real files
data=${DLC_DATA:-}
if [ -z "$data" ] || [ ! -d "$data/gpt2_tokenizer" ] || [ ! -d "$data/stories260K" ]; then
    skip "GPT-2's tokenizer and stories260K" "no DLC_DATA"
    exit $failed
fi
gpt2=$data/gpt2_tokenizer story=$data/stories260K/tok512.bin
gpt2_is() { report "GPT-2: '$2'" same "$1" "$dlc" tokenize "$gpt2" --text "$2"; }
gpt2_is "15496 995" "Hello world"
gpt2_is "15496 11 995 0" "Hello, world!"
gpt2_is "40 1101 407 1654 314 1183 466 340 13" "I'm not sure I'll do it."
gpt2_is "220 220 734 220 9029" "   two  spaces"
gpt2_is "1212 318 281 1672 13" "This is an example."
gpt2_is "464 2068 7586 21831 18045 625 262 16931 3290" "The quick brown fox jumps over the lazy dog"
gpt2_is "66 1878 2634" "café"
for byte in '' a "it's" ' ' '  ' "$(printf '\377\376 \303')"; do printf '%s' "$byte" >short; report "round trip of a short text" round_trip "$gpt2" short; done
head -c 20000 "$dlc" >bytes
report "GPT-2: 20,000 bytes of a program come back" round_trip "$gpt2" bytes
report "llama2.c: 20,000 bytes of a program come back" round_trip "$story" bytes
head -c 200000 /dev/zero | tr '\0' a >long
report "GPT-2: one word of 200,000 letters" round_trip "$gpt2" long
report "llama2.c: one word of 200,000 letters" round_trip "$story" long
head -c 100000 "$data/text/tinyshakespeare.txt" >play
report "GPT-2: a play comes back" round_trip "$gpt2" play
report "llama2.c: a play comes back" round_trip "$story" play
report "GPT-2: Shakespeare's plays are 338,025 tokens, as nanoGPT counts them" same 338025 "$dlc" tokenize "$gpt2" --count "$data/text/tinyshakespeare.txt"
report "llama2.c: a prompt" same "1 403 407 261 378" "$dlc" tokenize "$story" --marks --text "Once upon a time"
for n in 0 3 4 6000 6226; do
    head -c $n "$story" >cut.bin
    try "tok512.bin cut to $n bytes" 1 'cut.bin' "$dlc" tokenize cut.bin --text x
done
mkdir cut
head -c 500000 "$gpt2/encoder.json" >cut/encoder.json
cp "$gpt2/vocab.bpe" cut/vocab.bpe
try "encoder.json cut" 1 'encoder.json' "$dlc" tokenize cut --text x

report "all three as in their papers' code, on texts made up" "$python" "$root/tests/py/tokenizers.py" "$dlc" "$data"
if ! "$python" -c 'import numpy' 2>/dev/null; then
    skip "stories260K" "no Python packages (NumPy)"
    exit $failed
fi
"$python" "$root/tests/py/convert_stories.py" "$data" "$tmp" || exit 1
llama="$dlc generate $root/models/llama.dl --tokenizer $story --weights stories.safetensors"
cat >story <<'STORY'
Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball. She wanted to play with it, but it was too high.
Lily's mom said, "Lily, let's go to the park." Lily was sad and didn't know what to do. She said, "I want to play with your ball, but I can't find it."
Lily was sad and didn't know what to do. She said, "I'm sorry, Lily. I didn't know what to do."
Lily didn't want to help her mom, so she said, "I'm sorry, mom. I didn't know what to do." Her mom said, "Don't worry, Lily. We can help you.
STORY
tells() { $llama "$@" --tokens 256 >got 2>said && cmp got story && cat said; }
begins() { $llama --prompt "Once upon a time" --tokens 252 >got 2>said && cmp got story; }
report "stories260K: the published text" tells
report "stories260K: on two threads" tells --threads 2
report "stories260K: from its first words" begins
too_long() { head -c 3000 play >long && fails_with 'do not fit into the model' "$root/models/llama.dl" --tokenizer "$story" --weights stories.safetensors --prompt-file long; }
report "stories260K: a prompt longer than the cache" too_long
room() { head -c 740 play >long && $llama --prompt-file long --tokens 300 >got 2>said && grep -q 'holds no longer text' said; }
report "stories260K: more tokens than the cache has room for" room
in_place() { "$dlc" inspect "$root/models/llama.dl" --fn append --plan >plan 2>said && head -n 1 plan && head -n 1 plan | grep -q ', 0 bytes of params copied'; }
report "llama: the caches are appended to in place" in_place
cc=${CC:-cc}
equal_bits() { "$dlc" "$root/models/llama.dl" -o "$tmp/llama.so" >said 2>&1 && $cc -std=c11 -Wall -Wextra -Werror -I"$tmp" "$root/tests/append_bits.c" "$tmp/llama.so" -o append_bits && ./append_bits stories.safetensors; }
report "llama: reading at once, in pieces and token by token give equal bits" equal_bits
exit $failed
