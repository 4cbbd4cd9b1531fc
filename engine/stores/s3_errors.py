"""What S3's errors mean, as the ``OSError`` that every store raises."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from engine.errors import BadSettings

DENIED = {"403", "AccessDenied", "AllAccessDisabled"}
_MISSING = {"404", "NoSuchKey", "NotFound"}
_UNKNOWN_CALLER = {"ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"}
_CREDENTIALS = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or give the host a role"


@contextmanager
def errors_of(path: str, *, url: str) -> Iterator[None]:
    """Turn the errors of boto3 into ``OSError``, or ``BadSettings`` where no try again helps.

    Args:
        path: what was asked for.
        url: the store's root.
    """
    from botocore import exceptions

    try:
        yield
    except exceptions.ClientError as error:
        raise _meaning(error.response["Error"], path, url) from error
    except (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.CredentialRetrievalError,
        exceptions.ProfileNotFound,
    ) as error:
        message = f"{url} must have credentials; got: {error}. {_CREDENTIALS}"
        raise BadSettings(message) from error
    except (exceptions.ParamValidationError, exceptions.UnknownEndpointError, exceptions.NoRegionError) as error:
        message = f"{url!r} must be s3://bucket/prefix, in a region that exists; got: {error}"
        raise BadSettings(message) from error
    except exceptions.BotoCoreError as error:  # no connection, no answer in time, an answer cut short
        raise OSError(errno.EIO, str(error)) from error
    except ValueError as error:  # of the endpoint in AWS_ENDPOINT_URL
        if "endpoint" not in str(error).lower():
            raise
        message = f"{url}: AWS_ENDPOINT_URL must be http://host:port or https://host:port; got: {error}"
        raise BadSettings(message) from error


def _meaning(found: dict[str, str], path: str, url: str) -> Exception:
    code, text = found.get("Code", ""), found.get("Message", "")
    if code in _MISSING:
        return FileNotFoundError(errno.ENOENT, text, path)
    if code in DENIED:
        return PermissionError(errno.EACCES, text, path)
    if code == "NoSuchBucket":
        return BadSettings(f"{url}: the bucket must exist; it does not. Create it, or fix the name")
    if code in _UNKNOWN_CALLER:
        return BadSettings(f"{url} must have valid credentials; got {code}: {text}. {_CREDENTIALS}")
    return OSError(errno.EIO, f"{code}: {text}")
