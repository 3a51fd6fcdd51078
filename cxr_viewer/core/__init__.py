"""Values, errors and job types shared by every layer. Depends on numpy and the standard library only."""
