#!/bin/sh
# Run one of the three, as a user that is not root: backing postgres|redis|nginx; or ask how it is: backing health.
set -eu

if [ "$(id -u)" -eq 0 ] && [ "$1" != health ]; then
    exec setpriv --reuid=backing --regid=0 --clear-groups -- "$0" "$@"
fi

bin=/usr/lib/postgresql/15/bin
case "$1" in
postgres)
    # the password comes as a file; a volume that has a cluster already keeps its own
    if [ ! -s /data/postgres/PG_VERSION ]; then
        "$bin/initdb" --pgdata=/data/postgres --username=webui --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 \
            --pwfile="${POSTGRES_PASSWORD_FILE:-/run/secrets/postgres_password}"
        echo "host all all all scram-sha-256" >> /data/postgres/pg_hba.conf
    fi
    exec "$bin/postgres" -D /data/postgres -c listen_addresses='*' -c unix_socket_directories=/tmp
    ;;
redis)
    exec redis-server --bind '*' --protected-mode no --dir /data --save ''
    ;;
nginx)
    exec nginx -e stderr -g 'daemon off; pid /tmp/nginx.pid;' -c "${NGINX_CONFIG:-/etc/nginx/webui.conf}"
    ;;
health)
    # the first process names what runs
    case "$(tr '\0' ' ' < /proc/1/cmdline)" in
    *postgres*) "$bin/pg_isready" --quiet --host=/tmp ;;
    *redis*) redis-cli ping | grep -q PONG ;;
    *nginx*) test -s /tmp/nginx.pid ;;
    *) exit 1 ;;
    esac
    ;;
*)
    echo "backing: postgres, redis or nginx?" >&2
    exit 2
    ;;
esac
