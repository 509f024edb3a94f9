"""EVPV-PRM: a process reward model for vision-language reasoning, reproduced end to end."""
