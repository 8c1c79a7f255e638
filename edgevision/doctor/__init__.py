"""What this machine can run, why not the rest, and the command that mends it."""

from edgevision.doctor.check import Check
from edgevision.doctor.general import examine

__all__ = ["Check", "examine"]
