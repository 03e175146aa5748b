"""Runs the source against a destination: state, people, time."""
