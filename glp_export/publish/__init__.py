"""Uploading an artifact to the hub: `command` asks, `push` does it, `cargo` is what goes."""
