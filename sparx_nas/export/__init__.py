"""A trained network in forms that other programs read, each compared with it when it is made."""
