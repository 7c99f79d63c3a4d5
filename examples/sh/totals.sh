#!/bin/sh
# Sums what each person spent: reads `NAME CENTS` lines on stdin and prints name and amount, the highest first.
set -eu

names=''
while read -r name cents; do
    case $name in
    '' | \#*) continue ;;
    *[!a-z]*) echo "not a name: $name" >&2 && exit 1 ;;
    esac
    case " $names " in
    *" $name "*) ;;
    *) names="$names $name" && eval "sum_$name=0" ;;
    esac
    eval "sum_$name=\$((sum_$name + cents))"
done

for name in $names; do
    eval "printf '%d %s\n' \"\$sum_$name\" $name"
done | sort -k1,1nr -k2,2 | while read -r cents name; do
    printf '%-8s %6d.%02d\n' "$name" $((cents / 100)) $((cents % 100))
done
