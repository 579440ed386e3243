#!/bin/sh
# sbom.sh [FILE]: a CycloneDX bill of materials of what the image installs, each part with its hashes.  Needs cyclonedx-bom.
# REQUIREMENTS=requirements-books.txt: of the image for sealing and reports.
set -eu
cd "$(dirname "$0")"
exec cyclonedx-py requirements "${REQUIREMENTS:-requirements.txt}" --output-reproducible --spec-version 1.6 --output-format JSON \
    --output-file "${1:--}"
