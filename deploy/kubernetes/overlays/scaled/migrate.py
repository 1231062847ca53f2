"""Bring the database to the release of this image. One pod at a time: upstream's migrations hold no lock of their own."""

import os
import subprocess
import sys

import psycopg

LOCK = 0x77656275  # "webu": any number, the same in every pod
url = os.environ["DATABASE_URL"].replace("postgres://", "postgresql://", 1)
with psycopg.connect(url, autocommit=True) as database:
    database.execute("SELECT pg_advisory_lock(%s)", (LOCK,))  # released with the connection, however this ends
    code = "from open_webui import config"  # importing it migrates
    sys.exit(subprocess.call([sys.executable, "-c", code], env={**os.environ, "ENABLE_DB_MIGRATIONS": "true"}))
