"""Take from the package what one network needs, as text; docs/export.md says why."""
