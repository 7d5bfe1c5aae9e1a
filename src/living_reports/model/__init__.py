"""The document model: pure functions and values, with no clock, no disk and no random ids."""
