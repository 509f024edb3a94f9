"""Questions, images and training data: reading, checking and building them."""
