"""ARM code that is not the firmware: C drivers and tests, and the kernel functions they call."""
