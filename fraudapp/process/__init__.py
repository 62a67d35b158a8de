"""What concerns this process and its machine: its log, memory, files, packages."""
