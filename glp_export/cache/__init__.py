"""A content-addressed store of what one run paid for and another can use."""
