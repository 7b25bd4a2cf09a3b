"""The table of faults: complete, and each with what the runs need of it."""

from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from chaos.fault import Fault
from chaos.faults_table import FAULTS


def test_every_fault_of_the_matrix_is_there_once():
    assert [fault.number for fault in FAULTS] == [str(number) for number in range(1, 39)]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"F{fault.number}")
def test_a_fault_says_why_it_is_skipped_or_can_be_injected(fault: Fault):
    why = fault.skipped()
    assert why is None or why.strip()
    nothing: Any = None
    assert isinstance(fault.inject(nothing), AbstractAsyncContextManager)
    assert len(fault.title) <= 60
