"""Gong's answers as Arrow tables: what the rows of every table are, and what must not be stored."""
