"""What was measured, as a page for people (HTML), values for programs (JSON) and the scores themselves (CSV)."""
