#!/usr/bin/env bash
# Publishes dvp as one native file and prints its size. Fails on any warning, on a second file, and at 15 MB.
#   tools/publish.sh [RID [FOLDER]]      default: linux-x64 artifacts/dvp
set -euo pipefail
cd "$(dirname "$0")/.."

rid="${1:-linux-x64}"
folder="${2:-artifacts/dvp}"
limit=15000000

rm -rf "$folder"
log="$(mktemp)"
trap 'rm -f "$log"' EXIT
if ! dotnet publish src/Dvp.Cli -c Release -r "$rid" -p:PublishAot=true -p:RestoreLockedMode=true -o "$folder" >"$log" 2>&1; then
    cat "$log"
    exit 1
fi

# The native compiler also reports methods that cannot work, in lines that are no warnings.
if grep -E 'warning |ILC: ' "$log"; then
    echo "publish.sh: publishing must not warn" >&2
    exit 1
fi

files="$(find "$folder" -type f | wc -l)"
if [ "$files" -ne 1 ]; then
    find "$folder" -type f
    echo "publish.sh: one file is expected, found $files" >&2
    exit 1
fi

file="$(find "$folder" -type f)"
size="$(stat -c %s "$file" 2>/dev/null || stat -f %z "$file")"
echo "$file: $size bytes"
if [ "$size" -ge "$limit" ]; then
    echo "publish.sh: the file must be smaller than $limit bytes" >&2
    exit 1
fi
