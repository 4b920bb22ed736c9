"""From messages to arrays and back."""
