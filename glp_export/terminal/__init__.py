"""Progress on stderr: bars and a leaderboard on a terminal, plain lines elsewhere."""

from glp_export.terminal.listen import listen, progress_for

__all__ = ["listen", "progress_for"]
