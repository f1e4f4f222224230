"""Jobs on a Ray cluster: what is submitted, what a computer does of it, and how it comes back."""

import os

# Before Ray is imported: only those who know the cluster's token may use it, nothing is reported.
os.environ.setdefault("RAY_AUTH_MODE", "token")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# A cluster that doesn't answer is given up after 40 seconds: by default Ray asks it for 14 minutes.
os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "1")
