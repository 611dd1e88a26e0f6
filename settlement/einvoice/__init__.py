"""E-invoices of EN 16931: two spellings of a document's snapshot, and who checks them."""
