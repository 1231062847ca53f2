"""Leave what the standard image leaves of twelve collections of documents; run in a container."""

import pathlib
import sqlite3

folder = pathlib.Path("/app/backend/data/vector_db")
folder.mkdir(exist_ok=True)
with sqlite3.connect(folder / "chroma.sqlite3") as db:
    db.execute("CREATE TABLE IF NOT EXISTS collections (id TEXT)")
    db.executemany("INSERT INTO collections VALUES (?)", [(str(number),) for number in range(12)])
