#!/usr/bin/env bash
# pythonfs.sh ROOT PYTHON: puts the standard library of a Python into ROOT, where that Python looks for it, and the libraries
# that the loader would load for it. Left out is what no service has a use for: tests, windows, compilers, installers.
# deploy/Dockerfile runs it as well; it needs nothing of the checkout.
set -euo pipefail

root=$1
python=$2
library=$("$python" -ISc 'import sysconfig; print(sysconfig.get_path("stdlib"))')
mkdir -p "$root$library"
tar --create --dereference --directory "$library" --exclude='__pycache__' --exclude='./config-*' --exclude='./test' --exclude='./idlelib' \
  --exclude='./tkinter' --exclude='./turtle*' --exclude='./lib2to3' --exclude='./distutils' --exclude='./ensurepip' \
  --exclude='./pydoc_data' --exclude='./venv' --exclude='./dist-packages' --exclude='./site-packages' --exclude='./sitecustomize.py' . |
  tar --extract --directory "$root$library"
find "$root$library" -name '*.so' -exec ldd {} + | sed -nE 's|^(.*[[:space:]])?(/[^ ]+) \(0x.*|\2|p' | sort -u | while read -r needed; do
  mkdir -p "$root$(dirname "$needed")"
  cp --dereference "$needed" "$root$needed"
done
