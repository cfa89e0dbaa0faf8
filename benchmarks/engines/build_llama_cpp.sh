#!/usr/bin/env bash
# Builds llama.cpp's tools for this machine from the sources inside llama-cpp-python's distribution.
# Usage: build_llama_cpp.sh FOLDER; needs cmake and a C++ compiler.
set -euo pipefail
mkdir -p "$1"
cd "$1"
python3 -m pip download --quiet --no-deps --no-binary :all: llama-cpp-python==0.3.36
tar xf llama_cpp_python-*.tar.gz
ln -sfn "$(echo "$PWD"/llama_cpp_python-*/vendor/llama.cpp)" source
cmake -S source -B build -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DLLAMA_OPENSSL=OFF \
  -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_USE_PREBUILT_UI=OFF
cmake --build build -j "$(nproc)" --target llama-bench llama-batched-bench llama-quantize llama-server
ln -sfn build/bin bin
