"""The page that people look at: can the dataset be trusted, and what happens in the calls."""
