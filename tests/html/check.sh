#!/usr/bin/env bash
# The pages that nx writes, used in a real headless browser. Each is built from files of this
# tree; a check_*.js beside this script uses it and puts its verdict into the title, which this
# script reads. Without a browser it says so and fails, unless --if-installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [ -z "$browser" ]; then
  echo "HTML pages: NOT CHECKED, there is no chromium in the PATH (Debian: apt-get install chromium)"
  [ "${1:-}" = "--if-installed" ] && exit 0
  exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# check NAME PAGE: uses PAGE with check_NAME.js behind it. A page that allows scripts by a nonce
# allows the check by the same; the page's own policy lets nothing in from outside.
check() {
  local name=$1 page=$2 nonce report
  nonce=$(sed -n "s/.*script-src 'nonce-\([0-9a-f]*\)'.*/\1/p" "$page" | head -n 1)
  { cat "$page"; echo "<script nonce=\"$nonce\">"; cat "tests/html/check_$name.js"; echo '</script>'; } >"$work/check.html"
  timeout -s KILL 60 "$browser" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
    --disable-background-networking --disable-component-update --disable-sync \
    --user-data-dir="$work/profile" --window-size=1360,1000 --virtual-time-budget=5000 \
    --dump-dom "file://$work/check.html" >"$work/dom.html" 2>"$work/browser.log" \
    || { cat "$work/browser.log"; exit 1; }
  report=$(sed -n 's/.*<title>\(CHECK [^<]*\)<\/title>.*/\1/p' "$work/dom.html")
  if [[ "$report" != "CHECK ok"* ]]; then
    echo "$name page: FAILED: ${report:-the check did not finish}"
    exit 1
  fi
  echo "$name page: ${report#CHECK }"
}

# Records with names that would do harm where they are not escaped.
cargo nx audit report tools/nx/tests/audit/golden/export.jsonl --html "$work/report.html"
cargo nx audit report tools/nx/tests/audit/golden/export.jsonl --html "$work/again.html" >/dev/null
cmp "$work/report.html" "$work/again.html"
check report "$work/report.html"

if [ -x tests/html/check_matrix.sh ]; then
  ./tests/html/check_matrix.sh "$@"
fi
