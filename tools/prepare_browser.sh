#!/bin/sh
# Sees to it that there is a browser to check the report with; installs Debian's chromium where this may be done.
set -eu
for browser in ${CHROME:-} chromium chromium-browser google-chrome google-chrome-stable chrome; do
    command -v "$browser" >/dev/null && exit
done
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    echo "installing chromium with apt-get" >&2
    if apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; then
        exit
    fi
fi
echo "No browser found: the report's tests will fail. Install chromium, or name a browser in CHROME." >&2
