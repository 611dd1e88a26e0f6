"""How the files of the pages are kept for browsers."""

from typing import Any

from whitenoise.compress import Compressor  # type: ignore[import-untyped]
from whitenoise.storage import (  # type: ignore[import-untyped]
    CompressedManifestStaticFilesStorage,
)


class StaticFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Named by their content, and compressed with gzip alone.

    Brotli makes them 6 percent smaller than that, and takes 12 s of processor time at the first
    start of a hub.
    """

    def create_compressor(self, **options: Any) -> Compressor:
        """Return what compresses a file."""
        return Compressor(use_brotli=False, **options)
