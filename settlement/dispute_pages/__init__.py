"""The resolution centre in the portal: the list, the case, its answers, and opening a dispute."""
