#!/bin/sh
# Serve as a non-root user. Started as root (the default), hand the data folder over, which stock
# wrote as root, and drop to the image's user; started as any other user (`--user`), just serve.
# Full paths: nothing that a Python package brought runs as root.
set -eu

# NAME_FILE names a file that holds NAME, so that a secret is in no container's description. Read before
# root is given up, so the file may be root's alone. (WEBUI_SECRET_KEY_FILE is upstream's own.)
for name in DATABASE_URL OAUTH_CLIENT_SECRET OPENAI_API_KEY OPENAI_API_KEYS REDIS_URL S3_ACCESS_KEY_ID \
    S3_SECRET_ACCESS_KEY WEBSOCKET_REDIS_URL WEBUI_ADMIN_PASSWORD; do
    eval "file=\${${name}_FILE:-}"
    [ -n "$file" ] || continue
    if ! value=$(/usr/bin/cat -- "$file"); then
        echo "webui-entrypoint: ${name}_FILE: $file can't be read by uid $(/usr/bin/id -u)." >&2
        exit 1
    fi
    export "$name=$value"
    unset "${name}_FILE"
done

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

# For the server alone: what it may write, root's Python does not read.
export PYTHONPYCACHEPREFIX="${PYTHONPYCACHEPREFIX:-/var/cache/python}"

data=${DATA_DIR:-/app/backend/data}

# What functions and tools require, pip installs here: the image's own folder is not the server's to write. It is there
# after a restart and an update. Python looks into it only if it was there when Python began.
base=${PYTHONUSERBASE:-$data/python}
if /usr/bin/mkdir -p "$base/lib/$(/usr/bin/readlink /usr/bin/python3)/site-packages" 2>/dev/null; then
    export PYTHONUSERBASE="$base" PATH="$PATH:$base/bin"
fi

# Slim keeps the documents of a standard image and can't search them: said, not silent.
documents=$data/vector_db/chroma.sqlite3
vectors=${PGVECTOR_DB_URL:-${DATABASE_URL:-}}
if [ "${USE_SLIM_DOCKER:-}" = true ] && [ "${vectors#postgres}" = "$vectors" ] && [ -s "$documents" ]; then
    count=$(/usr/bin/python3 -I -c 'import pathlib, sqlite3, sys
uri = pathlib.Path(sys.argv[1]).resolve().as_uri() + "?mode=ro"
print(sqlite3.connect(uri, uri=True).execute("SELECT count(*) FROM collections").fetchone()[0])
' "$documents" 2>/dev/null || echo some)
    if [ "$count" != 0 ]; then
        echo "webui-entrypoint: documents: $count collections in $data/vector_db, this is slim: it keeps them, and can't" \
            "search them (docs/upgrade.md)." >&2
    fi
fi

exec "$@"
