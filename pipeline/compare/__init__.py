"""Models x losses x seeds on one log: trainings that outlive a kill, and the paper's tables of their results."""
