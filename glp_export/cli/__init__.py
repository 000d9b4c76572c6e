"""The command `glp-export`: one file a command, their flags, and the progress they draw."""
