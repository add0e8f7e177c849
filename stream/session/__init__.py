"""A recorded session: the folder that holds what was heard, what was made of it, and how to make it again."""
