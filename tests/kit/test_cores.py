from nunchi.kit.cores import Cores


def test_a_spare_core_is_lent_once_and_comes_back():
    cores = Cores(spare_max=1)
    with cores.borrowed() as first:
        with cores.borrowed() as second:
            assert (first, second) == (2, 1)
        with cores.borrowed() as third:
            assert third == 1
    with cores.borrowed() as again:
        assert again == 2


def test_a_core_comes_back_from_a_failure():
    cores = Cores(spare_max=3)
    try:
        with cores.borrowed() as threads:
            assert threads == 4
            raise ValueError
    except ValueError:
        pass
    with cores.borrowed() as threads:
        assert threads == 4
