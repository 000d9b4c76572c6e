"""Where trials are carried out, one file each; a new place is a file and a row in `WORKERS`."""

from glp_export.search.workers.base import Workers
from glp_export.search.workers.serial import SERIAL

WORKERS: dict[str, Workers] = {workers.name: workers for workers in (SERIAL,)}

__all__ = ["WORKERS", "Workers"]
