"""Why the model list is empty, slow or a 503."""
