"""Language-model engines behind one protocol, and the store that makes replies permanent."""
