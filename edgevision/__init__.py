"""Optimised edge-deployment runtime for vision models."""

__version__ = "0.1.0"
