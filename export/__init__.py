"""PyTorch checkpoints to ONNX files that describe themselves. The only part of edgevision that imports torch."""
