"""Folders of image files: what is in them, their parts and classes."""
