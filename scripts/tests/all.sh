#!/usr/bin/env bash
# Runs every script test; the last line counts them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# shellcheck source=scripts/tests/harness.sh
. scripts/tests/harness.sh
for file in scripts/tests/*_test.sh; do
  # shellcheck source=/dev/null
  . "$file"
done
finish
