"""Our learner and those of other libraries, on the same rows."""
