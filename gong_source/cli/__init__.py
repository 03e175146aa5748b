"""The command `gong-source`."""
