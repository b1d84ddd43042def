"""What everything may use: errors, JSON on disk, amounts as text, timm on a CPU torch."""
