"""The `voxbox train` verb: recipes, the sample stream and the training loop."""
