"""A plugin that ms-swift loads by its path."""
