"""Runs a BigQuery emulator, and a server of tokens for it: `python bigquery_emulator.py PORT TOKEN_PORT FOLDER`.

A script of its own, so that the emulator's packages meet no test.
"""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bqemulator.config import Settings
from bqemulator.server import EmulatorServer
from bqemulator.storage.engine import DuckDBEngine


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


def main(port: int, token_port: int, folder: str) -> None:
    """Serves until killed."""
    tokens = ThreadingHTTPServer(("127.0.0.1", token_port), Tokens)
    threading.Thread(target=tokens.serve_forever, daemon=True).start()
    DuckDBEngine._load_spatial = lambda _self: None  # would be downloaded
    EmulatorServer(
        Settings(rest_port=port, grpc_port=0, upload_staging_dir=folder, enable_format_extensions=False)
    ).run_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
