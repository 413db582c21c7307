"""What may be bought now."""
