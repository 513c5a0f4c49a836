#!/bin/sh
# Brings node_modules in step with package-lock.json; does nothing when it already is.
set -eu
cd "$(dirname "$0")/.."
stamp=node_modules/.package-lock.sha256
want=$( (sha256sum package-lock.json 2>/dev/null || shasum -a 256 package-lock.json) | cut -d' ' -f1)
if [ "$(cat "$stamp" 2>/dev/null || true)" != "$want" ]; then
  echo "Installing dependencies (npm ci)" >&2
  npm ci --no-audit --no-fund --loglevel=error
  echo "$want" >"$stamp"
fi
