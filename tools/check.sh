#!/usr/bin/env bash
# What every change must pass: format, build with warnings as errors, file sizes, tests.
#   tools/check.sh            all of it
#   tools/check.sh --no-test  everything but the tests
set -euo pipefail
cd "$(dirname "$0")/.."

echo "== format"
dotnet format whitespace Dvp.Kernels.sln --verify-no-changes --no-restore 2>/dev/null || {
    dotnet restore Dvp.Kernels.sln -v q
    dotnet format whitespace Dvp.Kernels.sln --verify-no-changes --no-restore
}

echo "== build"
dotnet build Dvp.Kernels.sln -c Release -v q -warnaserror

echo "== sizes"
tools/sizes.sh

if [ "${1:-}" != "--no-test" ]; then
    echo "== tests"
    .ci/run
fi
