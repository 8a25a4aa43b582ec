"""Sources to prepared sets: uint8 arrays, an index and a description."""
