"""Tasks beside the jobs: commands, other daemons, retention, heartbeat, status, log."""
