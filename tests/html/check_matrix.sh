#!/usr/bin/env bash
# The page of `nx policy matrix --html`, used in a real headless browser: it is built from the
# tree's own policy, tests/html/check_matrix.js sorts, filters and opens it, and this script reads
# the verdict out of the page. Without a browser it says so and fails, unless --if-installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [ -z "$browser" ]; then
  echo "matrix page: NOT CHECKED, there is no chromium in the PATH (Debian: apt-get install chromium)"
  [ "${1:-}" = "--if-installed" ] && exit 0
  exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo nx policy matrix --html "$work/matrix.html"
cargo nx policy matrix --html "$work/again.html" >/dev/null
cmp "$work/matrix.html" "$work/again.html"

# The same page with the check behind it. Its own policy for scripts allows nothing from outside.
{ cat "$work/matrix.html"; echo '<script>'; cat tests/html/check_matrix.js; echo '</script>'; } >"$work/check.html"

timeout -s KILL 60 "$browser" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
  --disable-background-networking --disable-component-update --disable-sync \
  --user-data-dir="$work/profile" --virtual-time-budget=5000 --dump-dom "file://$work/check.html" \
  >"$work/dom.html" 2>"$work/browser.log" || { cat "$work/browser.log"; exit 1; }

report=$(sed -n 's/.*<title>\(CHECK [^<]*\)<\/title>.*/\1/p' "$work/dom.html")
if [[ "$report" != "CHECK ok"* ]]; then
  echo "matrix page: FAILED: ${report:-the check did not finish}"
  exit 1
fi
echo "matrix page: ${report#CHECK }"
