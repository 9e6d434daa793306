#!/usr/bin/env bash
# The runs behind the table in README: three seeds of every arm, then one line an arm.
#
#   examples/forecast/marks.sh SERIES OUT [SEED ...]
#
# SERIES holds metr_la_week.csv.gz, ETTh1.csv.gz and covid.csv.gz; OUT takes a folder a run, with its
# JSON. Runs that are already there are not repeated. ARMS="NAME ..." runs some arms alone; further
# options of the example, --device for instance, stand in OPTIONS.
set -euo pipefail
series=${1:?the folder with the series} out=${2:?the folder for the outcomes}
shift 2
seeds=(${@:-0 1 2})
run="${FORECAST:-$(cargo build --example forecast --message-format=json 2>/dev/null |
    sed -n 's/.*"executable":"\([^"]*forecast\)".*/\1/p')}"

arm() { # NAME FILE OPTION...
    local name=$1 file=$2
    shift 2
    [[ " ${ARMS:-$name} " == *" $name "* ]] || return 0
    for seed in "${seeds[@]}"; do
        local folder="$out/$name-$seed"
        [ -s "$folder/run.json" ] && continue
        mkdir -p "$folder"
        # shellcheck disable=SC2086
        "$run" --device host ${OPTIONS:-} --data "$series/$file" --seed "$seed" --out "$folder" \
            --json "$folder/run.json" "$@" >"$folder/run.log"
    done
    summary "$name"
}

# A metric of a run, or a dash.
metric() {
    local value
    value=$(sed -n "s/.*\"$2\": \([-0-9.e]*\),*/\1/p" "$1")
    echo "${value:--}"
}

summary() {
    local file="$out/$1-${seeds[0]}/run.json" line
    echo "$1: scaled MAE / RMSE of the last value" \
        "$(metric "$file" persistence_scaled_mae) / $(metric "$file" persistence_scaled_rmse)," \
        "ridge $(metric "$file" ridge_scaled_mae) / $(metric "$file" ridge_scaled_rmse)"
    for seed in "${seeds[@]}"; do
        file="$out/$1-$seed/run.json" line="  seed $seed:"
        for name in scaled_mae scaled_rmse twin_scaled_mae mae rmse r2 gate_density spike_rate seconds; do
            line="$line $name $(metric "$file" "$name")"
        done
        echo "$line"
    done
}

arm metr-la metr_la_week.csv.gz --embed 16 --steps 300 --rate 0.02
arm etth1 ETTh1.csv.gz --split 7:1:2 --look-back 96 --horizon 96 --norm mean \
    --embed 16 --batch 32 --steps 1200 --rate 0.01
arm covid covid.csv.gz --split 6:2:2 --embed 32 --steps 300 --rate 0.01
# The published extents; rate, length and norm are chosen by the validation.
arm covid-fourier-gnn covid.csv.gz --model fourier-gnn --split 6:2:2 \
    --embed 256 --hidden 512 --steps 300 --rate 0.0003
