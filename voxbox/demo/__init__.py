"""The `voxbox demo` verb: a recording into the real node, and what came of it as pictures and numbers."""
