"""A provider as data: its definition, the keys a table may have, tables read, URLs built."""
