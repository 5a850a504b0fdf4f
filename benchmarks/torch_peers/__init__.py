"""Models of the zoo as a practitioner writes them in PyTorch; run in an environment of their own, without ours."""
