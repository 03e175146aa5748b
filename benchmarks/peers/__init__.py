"""Other ways to load the same calls, each a script that reads GONG_URL and writes a DuckDB file."""
