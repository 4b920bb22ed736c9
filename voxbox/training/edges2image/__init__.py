"""From edges to images: the paper's way to make rendered scenes look like photos (SSZ, section 3.4)."""
