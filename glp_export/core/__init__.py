"""What every part of the package stands on: errors, the machine, records, number formats."""
