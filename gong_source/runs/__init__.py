"""What each command does: state, people and time."""
