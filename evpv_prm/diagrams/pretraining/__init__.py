"""How the demo's tiny models learn from nothing: tasks, batches, stages, checkpoints."""
