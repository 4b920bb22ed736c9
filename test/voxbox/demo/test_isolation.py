"""A domain is held as long as somebody is in it."""

import pytest

from voxbox.demo import isolation


def test_a_domain_has_one_holder() -> None:
    with isolation.free_domain() as one, isolation.free_domain() as other:
        assert one != other


def test_what_fails_in_a_domain_is_told_and_the_domain_is_free_again() -> None:
    with pytest.raises(FileNotFoundError, match="no such drive"), isolation.free_domain() as domain:
        raise FileNotFoundError("no such drive")
    with isolation.free_domain() as again:
        assert again == domain
