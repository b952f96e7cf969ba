"""The Kedro pipelines, one stage of the way from raw files to a champion each."""
