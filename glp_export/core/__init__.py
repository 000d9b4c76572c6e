"""Types and facts that every other part builds on; nothing here knows of pruning or of models."""
