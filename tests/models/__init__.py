import os

# tensorflow-recommenders runs on Keras 2 only; it has to be chosen before TensorFlow is imported.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
