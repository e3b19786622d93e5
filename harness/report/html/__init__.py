"""Pages of HTML: one file each, which requests nothing and makes sense without scripts."""
