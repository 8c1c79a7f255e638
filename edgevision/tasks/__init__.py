"""One file a task: images to tensors, tensors to typed results."""
