"""What an audit or an attack came to: `metrics.json`, the page and the summary."""
