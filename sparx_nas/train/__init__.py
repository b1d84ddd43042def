"""Full training of one architecture: recipes, several processes, resuming, the folder it leaves."""
