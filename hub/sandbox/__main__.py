"""The demo network's partners as a process: `python -m hub.sandbox`."""

import logging.config
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")

from django.conf import settings

from hub.sandbox.control import Control, health
from hub.sandbox.network import Network
from hub.sandbox.notes import Notes
from hub.sandbox.serving import Server, by_prefix
from hub.supervisor import sandbox_port


def main() -> None:
    """Serve the partners until we are told to stop."""
    logging.config.dictConfig(settings.LOGGING)
    port = sandbox_port()
    network = Network(f"http://127.0.0.1:{port}", Notes(settings.DATA_DIR / "sandbox.json"))
    partners = {partner.prefix: partner.answer for partner in network.partners.values()}
    control = Control(network).answer
    with Server(by_prefix({**partners, "control": control, "health": health}), port) as server:
        network.resume()
        server.serve_forever()


if __name__ == "__main__":
    main()
