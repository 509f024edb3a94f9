"""What a run will cost: its jobs, model calls, tokens, GPU-hours and disk, before it starts."""
