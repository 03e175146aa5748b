"""Where records are stored: one module for each destination, and what all destinations share."""
