"""Whether knowledge from another cohort helps in this one."""
