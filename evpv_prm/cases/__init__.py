"""The case browser: scored questions and judged solutions as a page that opens from disk.

`candidates` and `solutions` turn records into the shapes of `shapes`, `collection` and `images`
write them, and `page` puts the files of `assets` beside them, which show them.
"""
