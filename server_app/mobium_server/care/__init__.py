"""Looking after a server: what its operator runs beside it, or while it is stopped."""
