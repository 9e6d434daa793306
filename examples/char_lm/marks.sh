#!/usr/bin/env bash
# The runs behind the table in README: three seeds of every arm on two texts, then one line an arm.
#
#   examples/char_lm/marks.sh TEXTS OUT [SEED ...]
#
# TEXTS holds tinyshakespeare.txt and tang-poems-first8000.txt.gz; OUT takes a folder a run, with its
# JSON. Runs that are already there are not repeated.
set -euo pipefail
texts=${1:?the folder with the texts} out=${2:?the folder for the outcomes}
shift 2
seeds=(${@:-0 1 2})
run="$(cargo build --example char_lm --message-format=json 2>/dev/null |
    sed -n 's/.*"executable":"\([^"]*char_lm\)".*/\1/p')"

arm() { # NAME TEXT OPTION...
    local name=$1 text=$2
    shift 2
    for seed in "${seeds[@]}"; do
        local folder="$out/$name-$seed"
        [ -s "$folder/run.json" ] && continue
        mkdir -p "$folder"
        "$run" --device host --data "$texts/$text" --seed "$seed" --out "$folder" \
            --json "$folder/run.json" "$@" >"$folder/run.log"
    done
    summary "$name"
}

metric() { sed -n "s/.*\"$2\": \([-0-9.e]*\),*/\1/p" "$1"; }

summary() {
    local bits="" sparsity="" open="" seconds="" counted=""
    for seed in "${seeds[@]}"; do
        local file="$out/$1-$seed/run.json"
        bits="$bits $(printf %.3f "$(metric "$file" bits_per_character)")"
        sparsity="$sparsity $(printf %.3f "$(metric "$file" sparsity)")"
        open="$open $(metric "$file" position_activity)"
        seconds="$seconds $(printf %.0f "$(metric "$file" seconds)")"
        counted=$(printf %.3f "$(metric "$file" ngram_bits)")
    done
    echo "$1: bits a character$bits (n-gram $counted), sparsity$sparsity, position activity$open, seconds$seconds"
}

shakespeare=tinyshakespeare.txt tang=tang-poems-first8000.txt.gz
arm shakespeare-symbolic-light $shakespeare
arm shakespeare-spike-gpt $shakespeare --model spike-gpt
arm shakespeare-no-attention $shakespeare --attention off
arm shakespeare-top-k $shakespeare --encoder "${TOP_K:-15}"
arm tang-symbolic-light $tang --steps 300
arm tang-spike-gpt $tang --model spike-gpt --steps 300
