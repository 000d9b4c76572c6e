"""The jobs, one file each: every one reads top-down and calls the rooms below."""
