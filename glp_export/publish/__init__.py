"""Uploading an artifact to the hub: `command` asks, `push` does it, `files` is what goes."""
