"""What can be loaded: declarations only."""
