"""What an encoder can do without: criteria, the latency table and the choice under a budget."""
