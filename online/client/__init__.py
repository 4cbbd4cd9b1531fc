"""The client of the server: one row or millions, from a script, a notebook or an event loop.

httpx carries the requests: one library with the same connection pool, errors and TLS settings under a blocking and an
asynchronous face, and few dependencies. requests has no asynchronous face, and aiohttp no blocking one.
"""

from online.client.async_client import AsyncClient
from online.client.predictions import Prediction, Predictions
from online.client.sync_client import Client

__all__ = ["AsyncClient", "Client", "Prediction", "Predictions"]
