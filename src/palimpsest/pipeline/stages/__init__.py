"""The stages of audits and attacks, one module each."""
