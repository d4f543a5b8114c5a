"""How well a model does on people it has not met."""
