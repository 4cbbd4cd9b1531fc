"""The Open Inference Protocol V2 over HTTP, with binary tensor data: what it says, without the routes."""
