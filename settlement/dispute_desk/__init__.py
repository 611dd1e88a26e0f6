"""The dispute desk of the hub's staff, in the admin site."""
