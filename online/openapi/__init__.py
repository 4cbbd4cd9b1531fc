"""The OpenAPI document: ``document`` puts it together from the paths of each protocol."""
