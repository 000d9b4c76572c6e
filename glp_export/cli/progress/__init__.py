"""Progress on stderr: bars and a leaderboard on a terminal, plain lines elsewhere."""

from glp_export.cli.progress.select import listen, progress_for

__all__ = ["listen", "progress_for"]
