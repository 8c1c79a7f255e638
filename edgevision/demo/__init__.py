"""A synthetic conveyor with exact ground truth, the metrics to judge detections by, and a small detector for it."""
