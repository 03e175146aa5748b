"""Questions to the dataset about what is stored; knows no destination."""
