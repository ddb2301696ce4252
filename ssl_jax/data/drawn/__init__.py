"""Images and clips that are drawn when they are read, from the seed and their index alone."""
