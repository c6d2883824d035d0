"""Models and providers known out of the box, and which of them can be used now."""
