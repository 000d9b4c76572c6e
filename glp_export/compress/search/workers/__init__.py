"""Where trials run, one file each; a new place is a file and a row in `WORKERS`."""

from glp_export.compress.search.workers.base import RunTrials, WorkerResources, Workers
from glp_export.compress.search.workers.processes import PROCESSES
from glp_export.compress.search.workers.ray_cluster import RAY
from glp_export.compress.search.workers.serial import SERIAL

WORKERS: dict[str, Workers] = {workers.name: workers for workers in (SERIAL, PROCESSES, RAY)}

__all__ = ["WORKERS", "RunTrials", "WorkerResources", "Workers"]
