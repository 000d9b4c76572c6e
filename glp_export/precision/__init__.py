"""Files of lower precision: which pay, how they are made, and the record of it."""
