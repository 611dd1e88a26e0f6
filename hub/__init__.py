"""The building: the OCPI protocol, the wiring of the project, what every floor needs."""

from hub.celery import app as celery_app

__all__ = ["celery_app"]
