"""This process and its machine: log, memory, open files, disk and imported packages."""
