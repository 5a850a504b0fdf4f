"""Names in the exported SavedModel, apart from what exports it: who only asks a model needs no TensorFlow for them."""

PROBABILITY = "probability"
EXAMPLES = "examples"
SERVING_DEFAULT = "serving_default"
SERVING_RAW = "serving_raw"
CLASSIFY = "classify"
REGRESS = "regress"
# The names that TensorFlow Serving's Classify and Regress look for.
INPUTS = "inputs"
CLASSES, SCORES = "classes", "scores"
OUTPUTS = "outputs"
