"""What the operating system gives and refuses: files, signals, locks, limits, child processes, text for terminals."""
