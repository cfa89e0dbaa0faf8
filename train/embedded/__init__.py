"""The recipe of the embedded models: from downloading the packages to published, evaluated branches."""
