"""What people look at: a scene as a picture, a film of them, and a page that holds pictures and tables."""
