"""Heads, neurons, sublayers and whole layers, chosen together by a measured latency table."""
