"""The synthetic diagram world and the tiny models that the demo and the tests use."""
