"""Bring the database to this image's release, one pod at a time: upstream's migrations hold no lock of their own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg

LOCK = 0x77656275  # "webu": any number, the same in every pod
# postgres:// and SQLAlchemy's postgresql+driver:// are the same to PostgreSQL's own client
url = re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", os.environ["DATABASE_URL"])
with psycopg.connect(url, autocommit=True) as database:
    database.execute("SELECT pg_advisory_lock(%s)", (LOCK,))  # released with the connection, however this ends
    key = Path(os.environ["WEBUI_SECRET_KEY_FILE"]).read_text(encoding="utf-8").strip()
    env = {**os.environ, "ENABLE_DB_MIGRATIONS": "true", "WEBUI_SECRET_KEY": key}
    # importing it migrates
    sys.exit(subprocess.call([sys.executable, "-c", "from open_webui import config"], env=env))
