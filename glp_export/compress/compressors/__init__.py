"""The compressors: one file or folder each."""
