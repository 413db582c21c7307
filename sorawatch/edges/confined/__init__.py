"""Worker processes for files that may be malicious: few rights, little memory, and one open file at a time.

`serving` and what it imports run in a worker, the other modules in the daemon.
"""

from sorawatch.edges.confined.confinement import Confinement
from sorawatch.edges.confined.messages import Reply, UnknownError
from sorawatch.edges.confined.process import Lost, ProcessLimits
from sorawatch.edges.confined.workers import NoWorker, Workers

__all__ = ["Confinement", "Lost", "NoWorker", "ProcessLimits", "Reply", "UnknownError", "Workers"]
