"""Models of pydantic 1, which Python 3.14 no longer has; a file of its own for that reason."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pydantic.v1 import BaseModel, PrivateAttr


class OldAccount(BaseModel):
    name: str
    balance: Decimal


class OldHolder(BaseModel):
    account: OldAccount
    anything: Any = None
    many: list[OldAccount] = []


class OldCounter(BaseModel):
    name: str
    _count: int = PrivateAttr(0)
    _late: int = PrivateAttr()
