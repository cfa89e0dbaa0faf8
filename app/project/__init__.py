"""The code of a project on disk, from which suggestions take context without any training."""
