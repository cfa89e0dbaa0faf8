"""The embedded models, from the download of the packages to published, measured branches."""
