#!/bin/sh
# Runs all tests on the GPU of this machine, then the benchmarks with PyTorch beside them where it is installed, and writes one results file.
#   run.sh [RESULTS.md]      default: gpu-results.md in the current folder
# Exit codes: 0 all tests passed and everything was measured, 1 something failed (the results file says what), 3 there is no driver or GPU.
set -u
here=$(cd "$(dirname "$0")" && pwd)
results=${1:-gpu-results.md}
[ -d "$here/kernels" ] && export DVP_KERNELS_DIR="$here/kernels"

# A first look: opens the device, and measures nothing but the roofline.
look=$("$here/dvp" bench --only ops --filter none --device cuda --seconds 0.1 2>&1)
code=$?
if [ "$code" -eq 3 ]; then
    echo "run.sh: no CUDA driver or GPU can be used here: $look" >&2
    exit 3
fi
if [ "$code" -ne 0 ]; then
    echo "run.sh: $look" >&2
    exit 1
fi

failed=0
clocks() {
    nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem,clocks.max.sm,temperature.gpu,power.draw --format=csv,noheader 2>/dev/null || echo "nvidia-smi is not there"
}
section() { # title, command...
    title=$1
    shift
    echo "run.sh: $title" >&2
    printf '\n## %s\n```\n' "$title"
    "$@" 2>&1 || { failed=1; echo "ended with an error"; }
    printf '```\nClocks after: %s\n' "$(clocks)"
}
body() {
    printf '# Results on a GPU\n- commit: %s\n- machine: %s\n- device, driver, clocks: %s\n' "$(tr '\n' ' ' <"$here/commit.txt")" "$(uname -srm)" "$(clocks)"
    printf '\n```\n%s\n```\n' "$look"
    section "What the machine has" "$here/dvp" doctor
    section "Tests, operators and models on the GPU" env DVP_TEST_GPU=1 DVP_REQUIRE=cuda,cuda-device "$here/Dvp.Tests"
    section "Operators against the measured roofline" "$here/dvp" bench --only ops --device cuda
    section "Models" "$here/dvp" bench --only models --device cuda --batch 256
    if python3 -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
        printf '\n## With PyTorch\n'
        (cd "$here/peers" && python3 compare.py --dvp "$here/dvp" --repository "$(repository)") || { failed=1; echo "The comparison ended with an error."; }
    else
        printf '\n## With PyTorch\nNot measured: PyTorch with CUDA is not installed here.\n'
    fi
    return $failed
}
repository() {
    d=$here
    while [ "$d" != / ] && [ ! -f "$d/Dvp.Kernels.sln" ]; do d=$(dirname "$d"); done
    echo "$d"
}
body >"$results.part"
code=$?
mv "$results.part" "$results"
echo "run.sh: $results"
exit "$code"
