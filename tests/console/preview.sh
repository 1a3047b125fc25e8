#!/usr/bin/env bash
# Runs the browser tests against the console over a pretended node.
set -euo pipefail
cd "$(dirname "$0")"
command -v node >/dev/null || { echo "node is missing (Debian: apt-get install nodejs npm)" >&2; exit 1; }
[ -x "${CHROMIUM:-/usr/bin/chromium}" ] || { echo "chromium is missing (Debian: apt-get install chromium)" >&2; exit 1; }
[ -d node_modules/playwright-core ] || npm ci --no-audit --no-fund
cargo build --quiet -p freehold-console --example preview
said="$(mktemp)"
WORLD="${WORLD:-family}" "${CARGO_TARGET_DIR:-../../target}/debug/examples/preview" >"$said" &
node=$!
trap 'kill "$node"; rm -f "$said"' EXIT
until grep -q CODE= "$said"; do kill -0 "$node"; read -rt 0.1 <> <(:) || :; done
read -r base code <"$said"
env "$base" "$code" node --test --test-concurrency=1 .
