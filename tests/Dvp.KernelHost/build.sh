#!/usr/bin/env bash
# Builds the kernel host into a folder: libcuda.so.1, libnvrtc.so.13, libcublasLt.so.13 and the headers that kernels are compiled against. The
# folder stands for itself and may be moved. What is up to date is not built again.
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

# Few translation units: the sources share their headers, which cost more than they do. An object is kept while it is newer than all.
work="$out/objects"
mkdir -p "$work"
newest="$(ls -t "$here"/build.sh "$here"/src/*.h "$here"/src/*/*.h "$here"/include/*/abi.h | head -n 1)"
flags=(-std=c++17 -O2 -fPIC -fvisibility=hidden -Wall -Wextra -Werror -pthread -I "$here/src" -I "$here/include")
unit() # name, sources
{
    local name="$1" source object="$work/$1.o"
    shift
    for source in "$@" "$newest"; do
        if [ ! "$object" -nt "$source" ]; then
            printf '#include "%s"\n' "$@" > "$work/$name.cpp"
            "$compiler" "${flags[@]}" -c "$work/$name.cpp" -o "$object"
            return
        fi
    done
}
unit driver "$here"/src/driver/*.cpp &
driver=$!
unit common "$here"/src/{mode,files,rewrite,image,compile}.cpp
unit nvrtc "$here"/src/nvrtc.cpp
unit cublaslt "$here"/src/cublaslt.cpp
wait "$driver"
# Names of their own inside: whatever else in the process opens a driver or NVRTC by name must not be given these.
link() { "$compiler" -shared -pthread -Wl,--no-undefined -Wl,-soname,"kernel-host-$1" -o "$work/$1" "${@:2}" -ldl; }
link libnvrtc.so.13 "$work/nvrtc.o" "$work/common.o"
link libcublasLt.so.13 "$work/cublaslt.o"
link libcuda.so.1 "$work/driver.o" "$work/common.o"

rm -rf "$out/include" "$out/stamp"
cp -r "$here/include" "$out/include"
mv "$work"/lib*.so.* "$out/"
echo "$stamp" > "$out/stamp"
