"""The search: trials, the log of them, comparisons, and where trials run."""
