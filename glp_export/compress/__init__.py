"""What a model can do without: plans, compressors, and the search that chooses."""
