#!/usr/bin/env bash
# Times the native dvp against the same code compiled at run time, in turns, and prints for each row the median time of both and their ratio.
#   benchmarks/native-against-jit.sh [ROUNDS [bench options...]]     default: 5 rounds of `bench --only all --seconds 0.2`
#   benchmarks/native-against-jit.sh 5 --only ops --batch 16 --seconds 0.2     every operator by itself, each timed many times a round
# A ratio of 0.95 or more means that the native file is as fast. Run it on an idle machine: rows of one round lie minutes apart.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds="${1:-5}"
shift || true
[ $# -gt 0 ] || set -- --only all --seconds 0.2

[ -x artifacts/dvp/dvp ] || tools/publish.sh
dotnet build -c Release src/Dvp.Cli -v q >/dev/null
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
for round in $(seq "$rounds"); do
    echo "round $round of $rounds" >&2
    artifacts/dvp/dvp bench "$@" >"$folder/native.$round" 2>/dev/null
    dotnet src/Dvp.Cli/bin/Release/net10.0/Dvp.Cli.dll bench "$@" >"$folder/jit.$round" 2>/dev/null
done

# A row is a name, two or more blanks, numbers, and perhaps a note. The operators' table of a pass has calls before the milliseconds, the
# others begin with the median: milliseconds, or microseconds with --only ops.
awk '
    function median(list,   values, n, i, j, t) {
        n = split(list, values, " ")
        for (i = 2; i <= n; i++) for (j = i; j > 1 && values[j - 1] + 0 > values[j] + 0; j--) { t = values[j]; values[j] = values[j - 1]; values[j - 1] = t }
        return n % 2 ? values[(n + 1) / 2] : (values[n / 2] + values[n / 2 + 1]) / 2
    }
    FNR == 1 { section = ""; side = FILENAME ~ /native\.[0-9]+$/ ? "native" : "jit" }
    /^(forward|training step), batch/ { split($0, head, ":"); section = head[1] ": " }
    { sub(/  +clock moved .*$/, "") }
    match($0, /  +[0-9.]+( +[0-9.]+)+$/) {
        name = section substr($0, 1, RSTART - 1)
        count = split(substr($0, RSTART), numbers, " ")
        if (!(name in seen)) { seen[name] = 1; order[++rows] = name }
        times[name, side] = times[name, side] " " numbers[count == 3 ? 2 : 1]
    }
    END {
        printf "%-96s %12s %12s %9s\n", "row", "native", "JIT", "JIT/native"
        for (i = 1; i <= rows; i++) {
            name = order[i]; native = median(times[name, "native"]); jit = median(times[name, "jit"])
            if (native > 0) printf "%-96s %12.3f %12.3f %9.2f\n", name, native, jit, jit / native
        }
    }' "$folder"/native.* "$folder"/jit.*
