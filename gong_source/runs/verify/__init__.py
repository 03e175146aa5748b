"""`verify`: compares Gong with the warehouse and repairs the differences."""
