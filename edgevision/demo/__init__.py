"""A synthetic conveyor with exact ground truth, metrics for detections, and a small detector trained on it."""
