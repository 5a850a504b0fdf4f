"""Serving: the servable, the embedded model server, the client and the scoring of whole files.

Three layers, each usable without the one above it:

* the model: ``servable`` (TensorFlow Serving's load path), ``versions`` and ``served_model`` (which version
  is served);
* the server: ``prediction_service`` and ``server`` (gRPC PredictionService), ``embedded`` (the same,
  in-process);
* the caller: ``client``, ``examples`` and ``scoring``. These need no TensorFlow of their own: all they take
  from it are protocol messages, and those come through ``protos`` alone.

Nothing here imports another room of the project: a client installs light, and any SavedModel can be served.
"""
