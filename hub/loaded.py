"""Everything that a part of the hub needs in memory; the nursery has it loaded once for all."""

from importlib import import_module

import django

django.setup()
for name in (
    *("celery.bin.celery", "celery.bin.worker", "celery.bin.beat", "celery.apps.worker"),
    *("celery.concurrency.thread", "celery.concurrency.prefork", "celery.worker.consumer"),
    *("celery.backends.redis", "kombu.transport.redis", "hub.beat", "hub.urls", "hub.rsgi"),
    *("granian.cli", "granian.server", "django.core.management.commands.migrate"),
):
    import_module(name)
