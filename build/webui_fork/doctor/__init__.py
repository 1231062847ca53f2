"""Why is the model list empty, slow or a 503? Facts are gathered at the edges; rules turn them into findings."""
