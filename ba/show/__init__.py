"""What a run leaves and shows: its folder, summary, report, progress and pictures."""
