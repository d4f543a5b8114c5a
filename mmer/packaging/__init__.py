"""From a network to what ships: the graph, a smaller one, the detector, the model card."""
