"""What is kept of one person, wherever it is kept: found, given out, erased."""
