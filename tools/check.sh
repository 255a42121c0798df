#!/usr/bin/env bash
# What every change must pass, the quick part first: format, sizes, a build of everything with analysers and warnings as errors, the kernels'
# table, tour and host, the native dvp (no warning, one file, its size), all tests, all tests as the GPU bundle has them.
#   tools/check.sh            all of it
#   tools/check.sh --no-test  all but the native dvp and the tests
set -euo pipefail
cd "$(dirname "$0")/.."
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1

case "${1:-}" in
    "" | --no-test) ;;
    *) echo "usage: $0 [--no-test]" >&2; exit 2 ;;
esac

step() { printf '== %s (%s)\n' "$1" "$(date +%T)"; }

step format
dotnet restore Dvp.Kernels.sln -v q
dotnet format whitespace Dvp.Kernels.sln --verify-no-changes --no-restore

step sizes
tools/sizes.sh

# Not incremental: what is up to date would not show its warnings again.
step build
dotnet build Dvp.Kernels.sln -c Release -v q -warnaserror --no-restore --no-incremental
for project in benchmarks/Dvp.Benchmarks tests/Dvp.NativeTests; do # the solution leaves them out of Release: dotnet test is faster for it
    dotnet build "$project" -c Release -v q -warnaserror --no-restore
done

step kernels
if command -v "${CXX:-g++}" >/dev/null; then
    tests/Dvp.KernelHost/build.sh artifacts/kernel-host
else
    echo "No C++ compiler: the kernel host is not built."
fi
tests/Dvp.Tests/bin/Release/net10.0/Dvp.Tests --progress off --filter-class \
    Dvp.Tests.Cuda.KernelTableTests Dvp.Tests.Cuda.KernelResourcesTests Dvp.Tests.Cuda.MatmulPlanTests Dvp.Tests.Docs.KernelTourTests

if [ "${1:-}" != "--no-test" ]; then
    step "native file"
    tools/publish.sh
    if command -v objdump >/dev/null && [ "$(uname -m)" = x86_64 ]; then
        tools/tile-loops.sh
    else
        echo "No objdump, or another processor: the tiles' loops are not looked at."
    fi
    step tests
    .ci/run
    step "GPU bundle, and its tests natively"
    tools/gpu-bundle.sh
    artifacts/gpu-bundle/Dvp.Tests
fi
step done
