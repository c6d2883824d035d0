"""The path in view, drawn by line in one widget: the cost of a frame does not grow with the conversation."""
