"""A documented package of 0.1, kept for 0.2: use `glp_export.compress`."""
