#!/usr/bin/env bash
# Shows the innermost loops of the matrix products' tiles (GemmTile, 256-bit vectors) as they are in the native dvp, and fails where one of them
# keeps a vector on the stack or calls something: the sums have to stay in registers.
#   tools/tile-loops.sh [-v] [DVP [SYMBOLS]]     default: what tools/publish.sh has left; -v prints the loops' instructions
# Needs objdump and nm, and an x86-64 binary.
set -euo pipefail
cd "$(dirname "$0")/.."
verbose=0
if [ "${1:-}" = "-v" ]; then
    verbose=1
    shift
fi
binary="${1:-artifacts/dvp/dvp}"
symbols="${2:-src/Dvp.Cli/bin/Release/net10.0/linux-x64/native/Dvp.Cli.dbg}"
for file in "$binary" "$symbols"; do
    [ -f "$file" ] || { echo "tile-loops.sh: $file is not there; run tools/publish.sh first" >&2; exit 2; }
done

# Weights in f16 that hold an infinity or NaN take the general conversion, whose constants do not fit the registers beside the sums; those of
# models are finite and take FiniteFloat16Element.
allowed="Float16Element"

failed=0
tiles=0
while read -r start size name element; do
    tiles=$((tiles + 1))
    objdump -d --no-show-raw-insn --start-address="0x$start" --stop-address="$(printf '0x%x' $((16#$start + 16#$size)))" "$binary" |
    awk -v name="$name $element" -v verbose="$verbose" '
        match($0, /^ *[0-9a-f]+:\t/) {
            at[++n] = substr($0, 1, RLENGTH - 2); gsub(/ /, "", at[n]); text[n] = substr($0, RLENGTH + 1); where[at[n]] = n
        }
        END {
            for (i = 1; i <= n; i++) {
                if (text[i] ~ /^j/ && match(text[i], /[0-9a-f]+/)) {
                    split(text[i], words, /[ \t]+/)
                    if ((words[2] in where) && where[words[2]] <= i) { loops++; first[loops] = where[words[2]]; last[loops] = i }
                }
            }
            for (a = 1; a <= loops; a++) {
                inner = 1
                for (b = 1; b <= loops; b++) if (b != a && first[b] >= first[a] && last[b] <= last[a] && !(first[b] == first[a] && last[b] == last[a])) inner = 0
                products = bad = 0
                for (i = first[a]; i <= last[a]; i++) {
                    products += text[i] ~ /^vfmadd/
                    bad += text[i] ~ /^call/ || (text[i] ~ /^v/ && text[i] ~ /\(%r[sb]p/)
                }
                if (!inner || !products) continue
                found++; failed += bad
                printf "%s: %d instructions, %d multiply-adds, %d on the stack or calls\n", name, last[a] - first[a] + 1, products, bad
                if (verbose) for (i = first[a]; i <= last[a]; i++) print "    " text[i]
            }
            if (!found) print name ": no loop of multiply-adds"
            exit failed > 0 || !found
        }' || [ "$element" = "$allowed" ] || failed=1
done < <(nm -S --defined-only "$symbols" |
    sed -n 's/^\([0-9a-f]*\) \([0-9a-f]*\) . .*GemmTile__Rows\([0-9]\)<.*Simd256.*_\([A-Za-z0-9]*\)>$/\1 \2 Rows\3 \4/p' | sort -k3)
[ "$tiles" -ge 12 ] || { echo "tile-loops.sh: $symbols names $tiles tiles, and there are at least 12" >&2; exit 1; }
exit "$failed"
