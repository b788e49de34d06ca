"""Results of an audit or an attack: `metrics.json`, the report page and the summary."""
