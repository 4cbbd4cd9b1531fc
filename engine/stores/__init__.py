"""Where bytes are kept: one store per URL scheme, behind ``engine.storage``."""
