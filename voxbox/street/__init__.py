"""The synthetic street world at the desk: render it, look at it."""
