"""Stores: where reports are kept, and the guarantees that hold for them."""
