#!/bin/sh
# Serve as a non-root user. Started as root (the default), hand the data folder over, which stock
# wrote as root, and drop to the image's user; started as any other user (`--user`), just serve.
# Full paths: nothing that a Python package brought runs as root.
set -eu

if [ "$(/usr/bin/id -u)" -eq 0 ]; then
    uid=$(/usr/bin/id -u webui)
    data=${DATA_DIR:-/app/backend/data}
    /usr/bin/mkdir -p "$data"
    if ! /usr/bin/find "$data" ! -uid "$uid" -exec /usr/bin/chown -h "$uid:0" {} +; then
        echo "webui-entrypoint: could not hand $data over to uid $uid." >&2
        echo "Start with --user $uid:0 and a folder that it owns, or with the capability CHOWN." >&2
        exit 1
    fi
    exec /usr/bin/setpriv --reuid="$uid" --regid=0 --clear-groups -- "$0" "$@"
fi

# upstream empties and fills this folder at every start; where it can't be written (a read-only root
# file system, a foreign group) a copy in the temporary folder takes its place
static=/app/backend/open_webui/static
if [ -z "${STATIC_DIR:-}" ] && [ ! -w "$static" ]; then
    STATIC_DIR=$(/usr/bin/mktemp -d)
    /usr/bin/cp -R "$static/." "$STATIC_DIR"
    export STATIC_DIR
fi

exec "$@"
