"""The online server: one thin HTTP adapter over the engine's predictor."""
