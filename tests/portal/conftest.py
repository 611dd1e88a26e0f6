"""The people of the portal's tests."""

import pytest
from django.core.cache import cache

from parties.models import Access
from tests.portal.cast import PASSWORD, person, visitor
from tests.settlement import factory


@pytest.fixture(autouse=True)
def plain(plain_static):
    """Name static files as they lie."""


@pytest.fixture
def fresh(db):
    """Count tries anew: the table of tries is not emptied with the others."""
    cache.clear()


@pytest.fixture
def seller(fresh):
    return factory.cpo("NL-CPO")


@pytest.fixture
def buyer(fresh):
    return factory.emsp("DE-EMP")


@pytest.fixture
def people(seller):
    """One person for each access at the CPO."""
    return {access: person(f"{access}@cpo.example", seller, access) for access in Access}


@pytest.fixture
def owner(people):
    """A visitor logged in as the owner, by the form."""
    return visitor(people[Access.OWNER], PASSWORD)
