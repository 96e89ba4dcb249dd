"""Reading and resolving."""
