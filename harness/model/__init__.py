"""The data model: records of runs, ground truth, outcomes, errors."""
