"""The methods of transfer: one file and one record each."""

from core.records import Registry
from core.transfer.problem import TransferMethod

TRANSFER_METHODS: Registry[TransferMethod] = Registry("transfer method", [])
