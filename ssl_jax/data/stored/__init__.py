"""Images inside larger files: tables, archives and records."""
