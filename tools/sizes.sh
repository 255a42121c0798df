#!/usr/bin/env bash
# Lines by folder; fails where a source file passes 450 lines (one subject a file) or the tracked files pass 54 MiB.
set -euo pipefail
cd "$(dirname "$0")/.."

git ls-files -z -- 'src/*.cs' 'tests/*.cs' 'tests/*.cpp' 'tests/*.h' 'benchmarks/*.cs' 'benchmarks/*.py' '*.cu' '*.cuh' | xargs -0 -r wc -l | awk '
    $2 == "total" { next }
    { split($2, p, "/"); f = p[1] == "kernels" ? p[1] : p[1] "/" p[2]; lines[f] += $1; files[f]++ }
    $1 > 450 { print "over 450 lines: " $2 " (" $1 ")"; bad = 1 }
    END { for (f in lines) printf "%7d lines %4d files  %s\n", lines[f], files[f], f | "sort -k5"; close("sort -k5"); exit bad }'

bytes="$(git ls-files -z | xargs -0 -r stat -c %s | awk '{ s += $1 } END { print s }')"
echo "tracked files: $((bytes / 1048576)) MiB"
[ "$bytes" -lt $((54 * 1048576)) ] || { echo "sizes.sh: tracked files must stay below 54 MiB" >&2; exit 1; }
