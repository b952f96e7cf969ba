"""The mathematics of the learners, without a word about feeds, files or frameworks."""
