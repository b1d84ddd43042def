"""What a person or a machine is told of a search: before, during and after."""
