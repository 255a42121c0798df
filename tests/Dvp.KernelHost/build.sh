#!/usr/bin/env bash
# Builds the kernel host into a folder: libcuda.so.1, libnvrtc.so.13 and the headers that kernels are compiled against. The folder stands
# for itself and may be moved. What is up to date is not built again.
#
#     tests/Dvp.KernelHost/build.sh DIR
set -euo pipefail
if [ $# -ne 1 ]; then
    echo "usage: $0 DIR" >&2
    exit 2
fi
here="$(cd "$(dirname "$0")" && pwd)"
mkdir -p "$1"
out="$(cd "$1" && pwd)"
compiler="${CXX:-g++}"

stamp="$(cat "$here/build.sh" "$here"/src/*.cpp "$here"/src/*.h "$here"/src/*/*.cpp "$here"/src/*/*.h "$here"/include/*.* "$here"/include/*/*.h | cksum) $("$compiler" --version | head -n 1)"
if [ "$(cat "$out/stamp" 2>/dev/null || true)" = "$stamp" ]; then
    exit 0
fi

# An object is kept while it is newer than its source and than every header.
work="$out/objects"
mkdir -p "$work"
newest_header="$(ls -t "$here"/build.sh "$here"/src/*.h "$here"/src/*/*.h "$here"/include/*/abi.h | head -n 1)"
flags=(-std=c++17 -O2 -fPIC -fvisibility=hidden -Wall -Wextra -Werror -pthread -I "$here/src" -I "$here/include")
shared=(mode files rewrite image compile)

pids=()
for source in "$here"/src/*.cpp "$here"/src/driver/*.cpp; do
    object="$work/$(basename "$source" .cpp).o"
    if [ "$object" -nt "$source" ] && [ "$object" -nt "$newest_header" ]; then continue; fi
    "$compiler" "${flags[@]}" -c "$source" -o "$object" &
    pids+=($!)
    if [ ${#pids[@]} -ge 2 ]; then wait "${pids[0]}"; pids=("${pids[@]:1}"); fi
done
for pid in "${pids[@]}"; do wait "$pid"; done

common=()
for name in "${shared[@]}"; do common+=("$work/$name.o"); done
driver=()
for source in "$here"/src/driver/*.cpp; do driver+=("$work/$(basename "$source" .cpp).o"); done
link() { "$compiler" -shared -pthread -Wl,--no-undefined -Wl,-soname,"$1" -o "$work/$1" "${@:2}" -ldl; }
link libnvrtc.so.13 "$work/nvrtc.o" "${common[@]}"
link libcuda.so.1 "${driver[@]}" "${common[@]}"

rm -rf "$out/include" "$out/stamp"
cp -r "$here/include" "$out/include"
mv "$work/libnvrtc.so.13" "$work/libcuda.so.1" "$out/"
echo "$stamp" > "$out/stamp"
