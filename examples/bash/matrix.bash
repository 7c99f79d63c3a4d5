#!/bin/bash
# Multiplies square matrices: reads n, then two n by n matrices of integers, and prints their product and its trace.
set -euo pipefail

read -r n
declare -A a b

read_matrix() {
    local -n matrix=$1
    local row column
    for ((row = 0; row < n; row++)); do
        local -a line
        read -r -a line
        for ((column = 0; column < n; column++)); do
            matrix[$row,$column]=${line[column]}
        done
    done
}

read_matrix a
read_matrix b

trace=0
for ((row = 0; row < n; row++)); do
    for ((column = 0; column < n; column++)); do
        sum=0
        for ((k = 0; k < n; k++)); do
            ((sum += ${a[$row,$k]} * ${b[$k,$column]})) || true
        done
        printf '%6d' "$sum"
        ((row == column)) && ((trace += sum)) || true
    done
    printf '\n'
done
printf 'trace %d\n' "$trace"
