#!/usr/bin/env bash
# Boots build/test/nexus.img and judges it by recipes/markers.toml. Exit status: see
# `cargo nx qemu --help`.
#
#   RUN_TIMEOUT       time limit, default 90s
#   RUN_PHASE         require and run the ladder up to this phase only
#   RUN_UNTIL_MARKER  1 (default): to the last required marker and the guest's own verdict;
#                     any other text but 0: stop at the first line that contains it
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

args=(--image "${RUN_IMAGE:-test}" --timeout "${RUN_TIMEOUT:-90s}")
if [ -n "${RUN_PHASE:-}" ]; then
  args+=(--phase "$RUN_PHASE")
else
  case "${RUN_UNTIL_MARKER:-1}" in
    0 | 1) ;;
    *) args+=(--until "$RUN_UNTIL_MARKER") ;;
  esac
fi
exec cargo nx qemu "${args[@]}" "$@"
