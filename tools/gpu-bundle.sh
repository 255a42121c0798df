#!/usr/bin/env bash
# Packs what a machine with a GPU needs beside a checkout to test and measure this project: no .NET, no network.
#   tools/gpu-bundle.sh [FOLDER]        default: artifacts/gpu-bundle; the same as one file: FOLDER.tar.xz
# The file and the checkout's tracked files together stay below 64 MiB, which is what a transfer to such a machine may hold.
# Inside: dvp (native), the tests (self-contained), the peers' scripts, and kernels compiled beforehand for DVP_BUNDLE_ARCH (default sm_90a)
# where NVRTC is found here. FOLDER/run.sh does the rest there; the tests look for the checkout above FOLDER.
set -euo pipefail
cd "$(dirname "$0")/.."

folder="${1:-artifacts/gpu-bundle}"
limit=$((64 * 1048576))
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
rm -rf "$folder" "$folder.tar.xz"
mkdir -p "$folder"

tools/publish.sh linux-x64 "$folder/tool"
mv "$folder/tool/dvp" "$folder/dvp"
rmdir "$folder/tool"

# The system's libraries are trimmed, the tests and what they test are not: tests find their cases by reflection.
log="$(mktemp)"
trap 'rm -f "$log"' EXIT
if ! dotnet publish tests/Dvp.Tests -c Release -r linux-x64 --self-contained -p:PublishTrimmed=true -p:TrimMode=partial \
    -p:TreatWarningsAsErrors=false -p:ILLinkTreatWarningsAsErrors=false -p:SuppressTrimAnalysisWarnings=true -p:DebugType=none -p:SatelliteResourceLanguages=en \
    -p:NuGetLockFilePath=obj/bundle.lock.json -o "$folder/tests" >"$log" 2>&1; then
    cat "$log"
    exit 1
fi
[ -x "$folder/tests/Dvp.Tests" ] || { cat "$log"; echo "gpu-bundle.sh: publishing the tests left no executable" >&2; exit 1; }
find "$folder/tests" \( -name '*.xml' -o -name '*.pdb' -o -name 'createdump' -o -name 'libmscordbi.so' -o -name 'libmscordaccore.so' \
    -o -name 'libclrgc.so' -o -name 'libclrgcexp.so' -o -name 'libcoreclrtraceptprovider.so' \) -delete
# The test platform's telemetry, which run.sh turns off, and the network libraries that it alone loads.
(cd "$folder/tests" && rm -f Microsoft.ApplicationInsights.dll \
    System.Net.{Http,Security,Requests,NameResolution,NetworkInformation}.dll)

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
if [ $((size + tracked)) -ge "$limit" ]; then
    echo "gpu-bundle.sh: bundle and tracked files must stay below $limit bytes" >&2
    exit 1
fi
