"""From files in the inbox to new jobs."""
