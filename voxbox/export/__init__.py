"""From trained weights to a released model folder."""
