"""Speaks to Gong: HTTP and JSON. Knows no dlt and no table."""
