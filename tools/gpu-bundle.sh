#!/usr/bin/env bash
# Packs what a machine with a GPU needs beside a checkout to test and measure this project: no .NET, no network.
#   tools/gpu-bundle.sh [FOLDER]        default: artifacts/gpu-bundle; the same as one file: FOLDER.tar.xz
# The file is at most 9 MiB, and with the checkout's tracked files it stays below 64 MiB, which is what a transfer to such a machine may hold.
# Inside: all tests and the tool as one native file (tests/Dvp.NativeTests; dvp starts it as the tool), the peers' scripts, and kernels compiled
# beforehand for DVP_BUNDLE_ARCH (default sm_90a) where NVRTC is found here. FOLDER/run.sh does the rest there; the tests look for the
# checkout above FOLDER.
set -euo pipefail
cd "$(dirname "$0")/.."

folder="${1:-artifacts/gpu-bundle}"
most=$((9 * 1048576))
limit=$((64 * 1048576))
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
rm -rf "$folder" "$folder.tar.xz"
mkdir -p "$folder"

log="$(mktemp)"
trap 'rm -f "$log"' EXIT
if ! dotnet publish tests/Dvp.NativeTests -c Release -r linux-x64 -p:PublishAot=true -p:RestoreLockedMode=true -o "$folder" >"$log" 2>&1; then
    cat "$log"
    exit 1
fi
[ -x "$folder/Dvp.Tests" ] || { cat "$log"; echo "gpu-bundle.sh: publishing the tests left no executable" >&2; exit 1; }
find "$folder" -type f ! -name Dvp.Tests -delete # what a referenced program brings beside its code
printf '#!/bin/sh\nexec "$(dirname "$0")/Dvp.Tests" tool "$@"\n' >"$folder/dvp"
chmod +x "$folder/dvp"

mkdir -p "$folder/peers"
cp benchmarks/peers/pytorch/*.py benchmarks/peers/pytorch/README.md "$folder/peers/"
cp tools/gpu-run.sh "$folder/run.sh"
chmod +x "$folder/run.sh"
{ git rev-parse HEAD; git status --porcelain | grep -q . && echo "with changes"; } >"$folder/commit.txt" || true

if "$folder/dvp" kernels build --arch "${DVP_BUNDLE_ARCH:-sm_90a}" --ptx none --out "$folder/kernels" >"$log" 2>&1; then
    tail -n 1 "$log"
else
    rm -rf "$folder/kernels"
    echo "No kernels inside, since NVRTC was not found here; the GPU host then needs NVRTC: $(tail -n 1 "$log")"
fi

tar -C "$(dirname "$folder")" -cf - "$(basename "$folder")" | xz --x86 --lzma2=preset=9e >"$folder.tar.xz"
size="$(stat -c %s "$folder.tar.xz")"
tracked="$(git ls-files -z | xargs -0 -r stat -c %s | awk '{ s += $1 } END { print s }')"
echo "$folder.tar.xz: $size bytes; with the tracked files $(((size + tracked) / 1048576)) MiB"
if [ "$size" -gt "$most" ]; then
    echo "gpu-bundle.sh: the bundle must not be larger than $most bytes" >&2
    exit 1
fi
if [ $((size + tracked)) -ge "$limit" ]; then
    echo "gpu-bundle.sh: bundle and tracked files must stay below $limit bytes" >&2
    exit 1
fi
