#!/bin/sh
# The versions of constraints.txt with the hash of every file that may be installed: run anew when either changes, and look at
# the diff. Needs pip-tools.  The index is pip's own setting; none is written down.
set -eu
cd "$(dirname "$0")/../.."
compile() {
    out=deploy/container/$1
    shift
    pip-compile -q --generate-hashes --allow-unsafe --strip-extras --no-annotate --no-header \
        --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options -o "$out" "$@"
    { echo "# Made by lock.sh"; cat "$out"; } >"$out.new"
    mv "$out.new" "$out"
}
compile requirements.txt -c constraints.txt --extra web --extra kubernetes --extra otlp pyproject.toml
compile requirements-books.txt -c constraints.txt --extra web --extra kubernetes --extra otlp --extra books pyproject.toml
compile requirements-build.txt deploy/container/requirements-build.in
