#!/usr/bin/env bash
# The runs behind the tables in README: every optimizer on a text and on MNIST, spikes in the
# gradients on both, and sums modulo 113.
#
#   examples/optimizers/marks.sh DATA OUT
#
# DATA holds text/tinyshakespeare.txt and the folder mnist; OUT takes a folder a run, with its log, its
# JSON and its pictures. Runs that are already there are not repeated. About three quarters of an hour
# on one core (development profile).
set -euo pipefail
data=${1:?the folder with the data} out=${2:?the folder for the outcomes}
build() {
    cargo build --example "$1" --message-format=json 2>/dev/null |
        sed -n 's/.*"executable":"\([^"]*'"$1"'\)".*/\1/p'
}
optimizers=$(build optimizers) grokking=$(build grokking)

run() { # NAME PROGRAM OPTION...
    local folder="$out/$1" program=$2
    shift 2
    [ -s "$folder/run.json" ] && return
    mkdir -p "$folder"
    "$program" --device host --seed 0 --out "$folder" --json "$folder/run.json" "$@" \
        >"$folder/run.log"
    echo "$folder/run.log"
}

text=$data/text/tinyshakespeare.txt
run grokking "$grokking" --seeds 3
run grokking-lif "$grokking" --neuron lif
# Softmax' losses become exactly 0 much later.
run grokking-long "$grokking" --arm plain --epochs 4000
run grokking-long-stablemax "$grokking" --arm stablemax --epochs 4000
run text-spikes "$optimizers" --task text --data "$text" --inject-spikes
run digits-spikes "$optimizers" --task digits --data "$data/mnist" --inject-spikes
run digits "$optimizers" --task digits --data "$data/mnist"
run text "$optimizers" --task text --data "$text"
