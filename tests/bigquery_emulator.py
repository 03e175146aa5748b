"""Runs a BigQuery emulator, and a server of tokens for it: `python bigquery_emulator.py PORT TOKEN_PORT FOLDER`.

A script of its own, so that the emulator's packages meet no test.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Tokens(BaseHTTPRequestHandler):
    """Answers every request with a token, as Google's token server does for a service account."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"access_token": "token", "expires_in": 3600, "token_type": "Bearer"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Says nothing."""


def run_local_bigquery(port: int, folder: str) -> None:
    """Serves local-bigquery until killed."""
    os.environ["HOME"] = folder  # DuckDB keeps its extensions there
    from duckdb_extensions import import_extension

    for extension in ("ducklake", "icu", "spatial"):
        import_extension(extension)
    import uvicorn
    from local_bigquery import app
    from local_bigquery.settings import settings

    settings.data_dir = Path(folder, "data")
    settings.default_project_id = "local"
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


def run_bqemulator(port: int, folder: str) -> None:
    """Serves bqemulator until killed."""
    from bqemulator.api.routes import tables
    from bqemulator.config import Settings
    from bqemulator.server import EmulatorServer
    from bqemulator.storage.engine import DuckDBEngine

    take_in, tell = tables._rest_to_table_meta, tables._table_to_rest

    def take_in_with_expiration(*args: Any) -> Any:
        taken = take_in(*args)
        expiration = args[2].get("expirationTime")
        moment = datetime.fromtimestamp(int(expiration) / 1000, UTC) if expiration else None
        return taken.model_copy(update={"expiration_time": moment})

    def tell_with_expiration(table: Any) -> dict[str, Any]:
        moment = table.expiration_time
        told: dict[str, Any] = tell(table)
        return told | ({"expirationTime": str(int(moment.timestamp() * 1000))} if moment else {})

    # it knows the time at which a table expires, and neither takes it in nor tells it
    tables._rest_to_table_meta, tables._table_to_rest = take_in_with_expiration, tell_with_expiration
    DuckDBEngine._load_spatial = lambda _self: None  # would be downloaded
    EmulatorServer(
        Settings(rest_port=port, grpc_port=0, upload_staging_dir=folder, enable_format_extensions=False)
    ).run_forever()


def main(port: int, token_port: int, folder: str) -> None:
    """Serves until killed."""
    tokens = ThreadingHTTPServer(("127.0.0.1", token_port), Tokens)
    threading.Thread(target=tokens.serve_forever, daemon=True).start()
    run = run_bqemulator if importlib.util.find_spec("local_bigquery") is None else run_local_bigquery
    run(port, folder)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
