"""What must hold of the network, of what is owed, and of forwarded requests, at any time.

Each check is a function that yields what breaks it, asked of the database in sets. They are run
together with those of money (`settlement/invariants.py`), which has the list of all.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, TypeAlias

from django.apps import apps
from django.conf import settings
from django.db.models import Count, Exists, F, Min, OuterRef, Q
from django.utils import timezone

from hub.ocpi.versions import RECEIVER
from parties import audit_invariants, clientinfo, delivery
from parties.models import (
    ClientInfo,
    Delivery,
    Endpoint,
    Errand,
    Key,
    OwnedObject,
    Platform,
    Role,
)

Breaches: TypeAlias = Iterator[tuple[Any, str]]
Check: TypeAlias = Callable[[], Breaches]

LEASE_LIMIT = timedelta(minutes=2)
MONEY_LIMIT = timedelta(hours=80)  # 72 h of tries, the last of them 6 h after the one before
ANSWER_LIMIT = timedelta(seconds=70)  # 10 s for an answer, and a minute to notice that none came
CLOCK_SKEW = timedelta(minutes=15)


# What is owed


def the_entitled_are_owed() -> Breaches:
    """Whoever takes pushes is owed every object that is broadcast to it, in its present version."""
    for role in Role.objects.filter(platform__state__in=clientinfo.RECEIVING):
        offered = Endpoint.objects.filter(platform=role.platform_id, interface=RECEIVER)
        modules = set(offered.values_list("module", flat=True))
        for module, told in delivery.broadcast_to(role):
            if module in modules:
                owed = Delivery.objects.filter(receiver=role.pk, **_up_to_date(module))
                for pk in told.exclude(Exists(owed)).values_list("pk", flat=True).distinct():
                    yield f"{module}/{pk}", f"its present version is not owed to {role}"


def payers_are_owed() -> Breaches:
    """The eMSP that pays is owed every complete CDR, and every session told since it came."""
    for module in ("cdrs", "sessions"):
        payers = Role.objects.receiving(module).filter(
            party=OuterRef("emsp"), role__in=Role.WITH_DRIVERS
        )
        if module == "sessions":  # told before that, they are for its first look at the list
            payers = payers.filter(
                platform__registered_at__lt=OuterRef("received_at"),
                platform__state_since__lt=OuterRef("received_at"),
            )
        owed = Delivery.objects.filter(receiver__party=OuterRef("emsp"), **_up_to_date(module))
        rows = _model(module).rows().filter(Exists(payers), ~Exists(owed), complete=True)
        for item in rows.select_related("owner").defer("body", "raw"):
            yield f"{module}/{item}", "its present version is not owed to who pays for it"


def _up_to_date(module: str) -> dict[str, Any]:
    return {"module": module, "object_id": OuterRef("pk"), "wanted__gte": OuterRef("version")}


def platforms_are_told_who_is_there() -> Breaches:
    """A platform that takes news of the network is owed all that it may know."""
    for platform in Platform.objects.filter(
        state__in=clientinfo.RECEIVING,
        endpoints__module=ClientInfo.module,
        endpoints__interface=RECEIVER,
    ):
        owed = Delivery.objects.filter(
            receiver__platform=platform.pk, **_up_to_date(ClientInfo.module)
        )
        for info in clientinfo.visible_to(platform).exclude(Exists(owed)).select_related("owner"):
            yield info, f"is not told to {platform}"


def debts_are_of_objects() -> Breaches:
    """What a receiver is owed exists, in the wanted version at least; no more is acknowledged."""
    for debt in Delivery.objects.filter(acknowledged__gt=F("wanted")):
        yield debt, "more is acknowledged than wanted"
    for module in settings.OCPI_MODELS:
        objects = (
            _model(module).rows().filter(pk=OuterRef("object_id"), version__gte=OuterRef("wanted"))
        )
        for debt in Delivery.objects.filter(module=module).exclude(Exists(objects)):
            yield debt, "the wanted version of the object does not exist"
    for debt in Delivery.objects.exclude(module__in=settings.OCPI_MODELS):
        yield debt, "the module keeps no objects"


def leases_are_short() -> Breaches:
    """Nothing is leased for long, and what was is taken up again soon after the lease ended."""
    now = timezone.now()
    owed = Delivery.objects.filter(state=Delivery.State.LIVE, wanted__gt=F("acknowledged"))
    for debt in owed.filter(leased_until__gt=now + LEASE_LIMIT):
        yield debt, f"is leased until {debt.leased_until}"
    platform = "receiver__platform__{}".format
    left = owed.filter(
        Q(**{platform("paused_until"): None})
        | Q(**{platform("paused_until__lt"): now - LEASE_LIMIT}),
        leased_until__lt=now - LEASE_LIMIT,
        next_attempt_at__lt=now - LEASE_LIMIT,
        **{platform("state"): Platform.State.CONNECTED},
    )
    for debt in left:
        yield debt, f"was leased until {debt.leased_until}, and nobody has taken it up again"


def money_is_not_left_lying() -> Breaches:
    """A CDR that a connected receiver does not take is given to a person after some days."""
    old = Delivery.objects.filter(
        state=Delivery.State.LIVE,
        wanted__gt=F("acknowledged"),
        module__in=delivery.MONEY,
        owed_since__lt=timezone.now() - MONEY_LIMIT,
        receiver__platform__state=Platform.State.CONNECTED,
    )
    for debt in old:
        yield debt, f"is owed since {debt.owed_since} and is not parked"


# Forwarded requests


def errands_come_to_an_end() -> Breaches:
    """A request that was passed on has been answered, or it is noted that it was not."""
    open_ = Errand.objects.filter(state=Errand.State.RECEIVED)
    for errand in open_.filter(created_at__lt=timezone.now() - ANSWER_LIMIT).order_by("pk"):
        yield errand.pk, f"was passed on at {errand.created_at} and has no outcome"


# The network


def roles_are_on_one_platform() -> Breaches:
    """A party acts in a role through one platform."""
    rows = Role.objects.order_by().values("party", "role").annotate(n=Count("pk")).filter(n__gt=1)
    for row in rows:
        yield f"party {row['party']}", f"is {row['n']} times in the role {row['role']}"


def tokens_are_nobody_elses() -> Breaches:
    """No token opens two doors, none that was used up opens any, nor one of a suspended party."""
    for model in (Key, Errand):
        rows = model._default_manager.order_by().values("digest")
        for row in rows.annotate(n=Count("pk"), first=Min("pk")).filter(n__gt=1):
            yield f"{model._meta.model_name} {row['first']}", "shares its token with another"
    keys = Key.objects.select_related("platform")
    for key in keys.exclude(used_at=None).exclude(purpose=Key.Purpose.INVITATION):
        yield f"key {key.pk} of {key.platform}", "was used up and opens more than registration"
    for key in keys.filter(used_at=None, platform__state=Platform.State.SUSPENDED):
        yield f"key {key.pk} of {key.platform}", "is good although the platform is suspended"


def no_object_is_from_the_future() -> Breaches:
    """No object was last changed later than now: nothing could ever replace it."""
    for module in settings.OCPI_MODELS:
        late = _model(module).rows().filter(last_updated__gt=timezone.now() + CLOCK_SKEW)
        for item in late.select_related("owner").defer("body", "raw"):
            yield f"{module}/{item}", f"was last changed at {item.last_updated}"


def roles_are_told_as_they_are() -> Breaches:
    """What the hub tells of a party in a role is the state of the platform behind it."""
    told = {(info.owner_id, info.uid): info for info in ClientInfo.objects.all()}
    for role in Role.objects.select_related("party", "platform"):
        info = told.get((role.party_id, role.role))
        status = clientinfo.STATUS[Platform.State(role.platform.state)]
        if info is None or not info.status == info.body["status"] == status:
            yield role, f"is not told to be {status}"


def _model(module: str) -> type[OwnedObject]:
    model: type[OwnedObject] = apps.get_model(settings.OCPI_MODELS[module])
    return model


CHECKS: tuple[Check, ...] = (
    the_entitled_are_owed,
    payers_are_owed,
    platforms_are_told_who_is_there,
    debts_are_of_objects,
    leases_are_short,
    money_is_not_left_lying,
    errands_come_to_an_end,
    roles_are_on_one_platform,
    tokens_are_nobody_elses,
    no_object_is_from_the_future,
    roles_are_told_as_they_are,
    *audit_invariants.CHECKS,
)
