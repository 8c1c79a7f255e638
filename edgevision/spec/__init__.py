"""The model spec: what a network expects and what its outputs mean."""
