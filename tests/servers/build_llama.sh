#!/usr/bin/env bash
# Builds llama.cpp's server from the source distribution of llama-cpp-python (there is no wheel of it): build_llama.sh FOLDER
# Prints where the program is.  Some four minutes on two cores; nothing is built again where it is there.
set -euo pipefail
folder=$1
version=0.3.36
program=$folder/build/bin/llama-server
if [ ! -x "$program" ]; then
    mkdir -p "$folder"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --no-binary llama-cpp-python \
        "llama-cpp-python==$version" -d "$folder" >&2
    tar -xf "$folder/llama_cpp_python-$version.tar.gz" -C "$folder"
    cmake -G Ninja -S "$folder/llama_cpp_python-$version/vendor/llama.cpp" -B "$folder/build" -DGGML_NATIVE=OFF -DLLAMA_CURL=OFF \
        -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_UI=OFF >"$folder/build.log" 2>&1
    ninja -C "$folder/build" llama-server >>"$folder/build.log" 2>&1
fi
echo "$program"
