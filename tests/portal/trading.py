"""CDRs that came in by OCPI, for pages that show everything about them."""

from decimal import Decimal as D

from cdrs.models import Cdr
from tests import objects
from tests.speaking import joined


def traded(**told):
    """Have a CPO send a CDR that an eMSP pays; return both as speakers, and the CDR."""
    cpo = joined("NL", "CPO", "CPO", modules=["tokens"])
    emsp = joined("DE", "EMP", "EMSP", modules=["cdrs", "locations", "tariffs", "sessions"])
    emsp.put(f"2.2.1/receiver/tokens/{emsp.path}/CARD1", objects.token(emsp.address))
    cpo.put(f"2.2.1/receiver/locations/{cpo.path}/L1", objects.location(cpo.address))
    cpo.put(f"2.2.1/receiver/tariffs/{cpo.path}/T1", objects.tariff(cpo.address))
    send(cpo, emsp, **told)
    return cpo, emsp, Cdr.objects.get()


def send(cpo, emsp, **told):
    """Send one more CDR."""
    told = {"tariffs": [objects.tariff(cpo.address)], **told}
    reply = cpo.post("2.2.1/receiver/cdrs", objects.cdr(cpo.address, emsp.address, **told))
    assert reply.code == 1000, reply.message


WRONG = {"total_cost": {"excl_vat": D("10.50")}}
