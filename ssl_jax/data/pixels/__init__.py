"""Files and bytes of images to arrays of pixels."""
