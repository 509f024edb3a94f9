"""LoRA trainings with ms-swift: command lines, runs that can be killed, merging."""
