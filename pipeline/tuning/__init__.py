"""The search for settings: KerasTuner in TFX's Tuner, over keys of a run's config."""
