"""How much a load costs, side by side with other ways to do it; see README.md."""
