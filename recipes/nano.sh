#!/usr/bin/env bash
# santacoder/nano, from nothing to a published commit, with Python 3.11 (whose standard library is part of the data).
# About two hours on two CPU cores; killed, it goes on where it was.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
run=runs/nano

if [ ! -d corpus/site-packages ]; then
  # --no-deps and --only-binary: the packages are read as text, nothing of them is run
  "$PYTHON" -m pip install --no-deps --only-binary=:all: --target corpus/site-packages -r recipes/nano-packages.txt
fi

if [ ! -e $run/data/manifest.json ]; then
  "$PYTHON" -m train.data --standard-library --packages corpus/site-packages --vocab-size 8192 --out $run/data
fi

if [ -d $run/states ]; then
  "$PYTHON" -m train --output $run --resume --publish santacoder/nano
else
  "$PYTHON" -m train --data $run/data --output $run \
    --n-layer 6 --n-embd 256 --n-head 4 --sequence-length 1024 --batch-size 6 --steps 6500 \
    --optimizer muon --learning-rate 4e-3 --precision bf16 --validate-every 500 --publish santacoder/nano
fi

"$PYTHON" -m train.evaluate bits-per-byte santacoder/nano --data $run/data
